"""CloudFormation's role allows exactly what the handlers of its resource types call.

AWS publishes their permissions with the resource schemas. The file is beside this repository and not part of it;
without it, only the types without published permissions are tested.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.infra.environments import few, templates_of
from tests.infra.iam import Statement, is_allowed, kinds, listed
from tests.infra.test_rights import HERE, MAKING, SHOP, named

PUBLISHED = Path(__file__).parents[3] / "shared" / "aws" / "handler-permissions.json"

# Types without published permissions; from the Service Authorization Reference and the services' guides.
UNPUBLISHED: Mapping[str, str] = {
    "AWS::Budgets::Budget": "budgets: ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget",
    "AWS::CodeBuild::Project": ("codebuild: BatchGetProjects CreateProject DeleteProject UpdateProject\niam: PassRole"),
    "AWS::ElasticLoadBalancingV2::Listener": (
        "elasticloadbalancing: AddTags CreateListener DeleteListener DescribeListenerAttributes DescribeListeners "
        "DescribeTags ModifyListener ModifyListenerAttributes RemoveTags"
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "elasticloadbalancing: AddTags CreateLoadBalancer DeleteLoadBalancer DescribeLoadBalancerAttributes "
        "DescribeLoadBalancers DescribeTags ModifyLoadBalancerAttributes RemoveTags SetIpAddressType SetSecurityGroups "
        "SetSubnets\n"
        "ec2: DescribeAccountAttributes DescribeInternetGateways DescribeSecurityGroups DescribeSubnets DescribeVpcs "
        "GetSecurityGroupsForVpc\n"
        "iam: CreateServiceLinkedRole"
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": (
        "elasticloadbalancing: AddTags CreateTargetGroup DeleteTargetGroup DescribeTags DescribeTargetGroupAttributes "
        "DescribeTargetGroups ModifyTargetGroup ModifyTargetGroupAttributes RemoveTags\n"
        "ec2: DescribeVpcs"
    ),
    "AWS::Glue::Table": "glue: CreateTable DeleteTable GetTable UpdateTable",
    "AWS::Scheduler::Schedule": ("scheduler: CreateSchedule DeleteSchedule GetSchedule UpdateSchedule\niam: PassRole"),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": (
        "servicediscovery: CreatePrivateDnsNamespace DeleteNamespace GetNamespace GetOperation ListTagsForResource "
        "TagResource UntagResource UpdatePrivateDnsNamespace\n"
        "route53: AssociateVPCWithHostedZone ChangeResourceRecordSets CreateHostedZone DeleteHostedZone GetChange "
        "GetHostedZone ListHostedZonesByName UpdateHostedZoneComment\n"
        "ec2: DescribeRegions DescribeVpcs"
    ),
}

# Actions for features that these stacks do not use, with the feature.
NOT_USED: Mapping[str, str] = {
    "ec2:AcceptAddressTransfer": "addresses that another account hands over",
    "ec2:As*PrivateNatGatewayAddress": "private NAT gateways",
    "ec2:UnassignPrivateNatGatewayAddress": "private NAT gateways",
    "ec2:*ssociateNatGatewayAddress": "a second address of a NAT gateway",
    "ec2:*ssociateSubnetCidrBlock": "IPv6",
    "ec2:*tachVpnGateway": "VPN gateways",
    "ec2:CreateVpcEncryptionControl": "encryption controls of a VPC",
    "ec2:ModifyVpcTenancy": "dedicated hardware",
    "ecs:PutAccountSetting*": "settings of the whole account",
    "firehose:TagDeliveryStream": "log groups of the class DELIVERY",
    "glue:*Connection": "federated databases",
    "iam:*GroupPolicy": "policies of IAM groups",
    "iam:*UserPolicy": "policies of IAM users",
    "iam:DeleteRolePermissionsBoundary": "roles without the boundary: no stack may have one",
    "kms:Decrypt": "Athena results under a KMS key",
    "kms:DisableKey": "keys that are disabled",
    "kms:EnableKey": "keys that are disabled",
    "kms:GenerateDataKey": "Athena results under a KMS key",
    "lambda:*": "Lambda functions as targets of autoscaling",
    "rds:*DBInstanceAutomatedBackupsReplication": "backups in a second region",
    "rds:*RoleToDBInstance": "roles of a database instance",
    "rds:CreateDBInstanceReadReplica": "read replicas",
    "rds:PromoteReadReplica": "read replicas",
    "rds:RemoveRoleFromDBInstance": "roles of a database instance",
    "rds:RestoreDBInstance*": "instances that start from a snapshot",
    "s3:*BucketMetadata*TableConfiguration": "metadata tables",
    "s3:DeleteObject": "metadata tables",
    "s3:PutObjectAcl": "access control lists of objects",
    "s3:REST.PUT.OBJECT": "an operation in S3's access logs, not an action",
    "s3tables:*": "metadata tables",
    "secretsmanager:*Region*": "secrets in a second region",
    "vpc-lattice:*": "endpoints of service networks",
    "vpce:AllowMultiRegion": "endpoints of services in another region",
}

# Actions that are needed outside the handlers, with the reason.
NO_HANDLER: Mapping[str, str] = {
    "kms:ListAliases": "RDS, ECR and Secrets Manager find the key that AWS keeps for them by its alias",
}

ROLE = "arn:aws:iam::123456789012:role"
SERVICE_ROLE = f"{ROLE}/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
# The names of resources whose template gives none; CloudFormation puts the stack's name first.
ARNS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cloudwatch", "alarm"): (f"arn:aws:cloudwatch:{HERE}:alarm:shop-freshness",),
    ("ecs", "service-deployment"): (f"arn:aws:ecs:{HERE}:service-deployment/shop/load/x",),
    ("ecs", "task-definition"): (f"arn:aws:ecs:{HERE}:task-definition/shop-load:1",),
    ("glue", "database"): (f"arn:aws:glue:{HERE}:database/shop",),
    ("glue", "rootcatalog"): (f"arn:aws:glue:{HERE}:catalog",),
    ("glue", "table"): (f"arn:aws:glue:{HERE}:table/shop/fact",),
    ("glue", "userdefinedfunction"): (f"arn:aws:glue:{HERE}:userDefinedFunction/shop/any",),
    ("iam", "role"): (f"{ROLE}/shop-services-LoadTaskRole-x",),
    ("kms", "key"): (f"arn:aws:kms:{HERE}:key/x",),
    ("rds", "db"): (f"arn:aws:rds:{HERE}:db:shop-warehouse",),
    ("rds", "og"): (f"arn:aws:rds:{HERE}:og:default:postgres-17",),
    ("rds", "pg"): (f"arn:aws:rds:{HERE}:pg:shop-warehouse-parameters-x",),
    ("rds", "snapshot"): (f"arn:aws:rds:{HERE}:snapshot:shop-warehouse-snapshot-instance-x",),
    ("rds", "subgrp"): (f"arn:aws:rds:{HERE}:subgrp:shop-warehouse-instancesubnetgroup-x",),
    ("s3", "bucket"): ("arn:aws:s3:::shop-queries",),
    ("s3", "object"): ("arn:aws:s3:::shop-queries/x",),
    ("secretsmanager", "Secret"): (f"arn:aws:secretsmanager:{HERE}:secret:rds!db-x",),
    ("sns", "topic"): (f"arn:aws:sns:{HERE}:shop-alerts",),
    ("sqs", "queue"): (f"arn:aws:sqs:{HERE}:shop-load",),
}
EXCEPTIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("AWS::ApplicationAutoScaling::ScalableTarget", "alarm"): (
        f"arn:aws:cloudwatch:{HERE}:alarm:TargetTracking-service/shop/transform-AlarmHigh-x",
    ),
}
# The services that a type passes a role to.
PASSED_TO = {
    "AWS::CodeBuild::Project": "codebuild.amazonaws.com",
    "AWS::EC2::FlowLog": "vpc-flow-logs.amazonaws.com",
    "AWS::ECS::TaskDefinition": "ecs-tasks.amazonaws.com",
    "AWS::Scheduler::Schedule": "scheduler.amazonaws.com",
}

Request = tuple[str, str, str]


def published() -> dict[str, set[str]]:
    """The actions that the handlers of each type call."""
    if not PUBLISHED.exists():
        return {}
    lists = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return {
        kind: {action for actions in by_handler.values() for action in actions} for kind, by_handler in lists.items()
    }


def unpublished() -> dict[str, set[str]]:
    return {
        kind: {
            f"{service}:{verb}"
            for service, _, verbs in (line.partition(": ") for line in lines.splitlines())
            for verb in verbs.split()
        }
        for kind, lines in UNPUBLISHED.items()
    }


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    """The resources that CloudFormation's role creates, of environments with each preset and option."""
    return [
        resource
        for one in few().values()
        for name, template in templates_of(one).items()
        if name != one.names.stack("access")
        for resource in template["Resources"].values()
    ]


@pytest.fixture(scope="module")
def needed(resources: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The actions that handlers call, by type, for the types in the stacks."""
    types = {resource["Type"] for resource in resources}
    lists = published() | unpublished()
    assert not PUBLISHED.exists() or types <= lists.keys(), "a type without a list: add it to UNPUBLISHED"
    return {kind: actions for kind, actions in lists.items() if kind in types}


@pytest.fixture(scope="module")
def policies() -> list[Statement]:
    """The statements of all policies of CloudFormation's role."""
    template = templates_of(SHOP)[SHOP.names.stack("access")]["Resources"]
    (role,) = (key for key, one in template.items() if one["Properties"].get("RoleName") == SHOP.names.execution_role)
    return [
        statement
        for one in template.values()
        if one["Type"] == "AWS::IAM::ManagedPolicy" and {"Ref": role} in one["Properties"].get("Roles", [])
        for statement in one["Properties"]["PolicyDocument"]["Statement"]
    ]


def is_unused(action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in NOT_USED)


def requests(resource: dict[str, Any], actions: Iterable[str]) -> Iterator[Request]:
    """The requests of a resource's handlers: type, action, and ARN."""
    kind = resource["Type"]
    _, pattern = MAKING[kind]
    own = None if pattern is None else pattern.format_map(named(resource["Properties"]))
    for action in actions:
        # Other types can name a role; those of the stacks do not.
        passes = action != "iam:PassRole" or kind in PASSED_TO
        if passes and not is_unused(action):
            for arn in arns(kind, action, own):
                yield kind, action, arn


def arns(kind: str, action: str, own: str | None) -> tuple[str, ...]:
    """The ARNs for an action of a type's handler."""
    service = action.partition(":")[0].lower()
    if action == "iam:CreateServiceLinkedRole":
        return (SERVICE_ROLE,)
    found = kinds(action)
    if found is None:
        # Newer than the reference.
        return (own or "*",)
    if not found:
        return ("*",)
    mine = (own,) if own is not None and own.split(":")[2] == service else ()
    main = (kinds(MAKING[kind][0]) or ("",))[0]
    about = tuple(
        arn
        for one in found
        for arn in EXCEPTIONS.get((kind, one)) or (mine if mine and one == main else ARNS.get((service, one), ()))
    )
    return about or mine or (f"arn:aws:{service}:{HERE}:any/x",)


def context(kind: str, action: str) -> dict[str, str]:
    found = {"aws:RequestedRegion": SHOP.region, "iam:PermissionsBoundary": SHOP.names.boundary_arn}
    return found | ({"iam:PassedToService": PASSED_TO.get(kind, "")} if action == "iam:PassRole" else {})


def test_no_request_of_a_handler_is_refused(
    resources: list[dict[str, Any]], needed: dict[str, set[str]], policies: list[Statement]
) -> None:
    asked = {request for one in resources for request in requests(one, needed.get(one["Type"], ()))}
    refused = {
        (kind, action, arn)
        for kind, action, arn in asked
        if not is_allowed(policies, action, arn, context(kind, action))
    }
    assert sorted(refused) == []
    assert len(asked) > 100


def test_nothing_is_granted_that_no_handler_calls(needed: dict[str, set[str]], policies: list[Statement]) -> None:
    if not PUBLISHED.exists():
        return
    called = {action.lower() for actions in needed.values() for action in actions if not is_unused(action)}
    called |= {action.lower() for action in NO_HANDLER}
    granted = {action for one in policies if one["Effect"] == "Allow" for action in listed(one["Action"])}
    assert sorted(p for p in granted if not any(fnmatchcase(action, p.lower()) for action in called)) == []


def test_the_lists_of_this_module_have_no_superfluous_entries(needed: dict[str, set[str]]) -> None:
    called = {action for actions in needed.values() for action in actions}
    if PUBLISHED.exists():
        assert [pattern for pattern in NOT_USED if not any(fnmatchcase(action, pattern) for action in called)] == []
        assert not {kind for kind in UNPUBLISHED if published().get(kind)}
    assert all(reason for reason in (*NOT_USED.values(), *NO_HANDLER.values()))


def test_the_simulation_refuses_what_a_policy_denies_or_does_not_name() -> None:
    allow = {"Effect": "Allow", "Action": "iam:*", "Resource": f"{ROLE}/shop-*"}
    deny = {"Effect": "Deny", "Action": ["iam:*"], "Resource": [f"{ROLE}/shop-deploy"]}
    bound = allow | {"Condition": {"StringEquals": {"iam:PermissionsBoundary": "b"}}}
    assert is_allowed([allow, deny], "iam:PutRolePolicy", f"{ROLE}/shop-load", {})
    assert not is_allowed([allow, deny], "iam:PutRolePolicy", f"{ROLE}/shop-deploy", {})
    assert not is_allowed([allow], "iam:PutRolePolicy", f"{ROLE}/other", {})
    assert not is_allowed([bound], "iam:PutRolePolicy", f"{ROLE}/shop-load", {})
    assert is_allowed([bound], "iam:PutRolePolicy", f"{ROLE}/shop-load", {"iam:PermissionsBoundary": "b"})

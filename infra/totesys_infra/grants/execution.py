"""What CloudFormation may do for the stacks: making, changing and removing what they are made of."""

from totesys_infra.grants.grant import Arns, Conditions, Grant, equal, verbs
from totesys_infra.names import Names

# The services that roles of the stacks are made for.
RUN_AS = tuple(f"{service}.amazonaws.com" for service in ("codebuild", "ecs-tasks", "vpc-flow-logs"))

UNNAMED = "AWS knows no resource for these actions, or names it itself; only in this region."


def execution(names: Names) -> dict[str, tuple[Grant, ...]]:
    """What CloudFormation may do for the stacks, by policy: making, changing and removing what they are made of."""
    of, region = Arns(names), equal("aws:RequestedRegion", names.region)
    return {
        "Data": (*_data(of), *_messages_and_secrets(of, region)),
        "Network": _network(region),
        "Running": _running(of, region),
        "Roles": _roles(of),
    }


def _data(of: Arns) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "Buckets",
            verbs(
                "s3",
                "CreateBucket DeleteBucket* Get*Configuration GetBucket* ListBucket Put*Configuration PutBucket*",
            ),
            tuple(names.bucket_arn(purpose) for purpose in ("ingest", "processed", "code", "queries")),
            "The settings of these buckets; no object of theirs.",
        ),
        Grant("Templates", ("s3:GetObject",), (names.bucket_arn("code", "templates/*"),), "Named by their contents."),
        Grant(
            "Database",
            verbs("rds", "Create* Delete* Describe* Modify* *Tag*"),
            tuple(of.arn("rds", f"{kind}:{names.name}*") for kind in ("db", "subgrp", "pg", "snapshot")),
        ),
        Grant(
            "Catalog",
            ("glue:*Database*", "glue:*Table*", "glue:*Tags", "glue:*agResource"),
            (
                of.arn("glue", "catalog"),
                of.arn("glue", f"database/{names.glue_database}"),
                of.arn("glue", f"table/{names.glue_database}/*"),
            ),
        ),
        Grant(
            "Workgroup",
            ("athena:*WorkGroup*", "athena:ListTagsForResource", "athena:*agResource"),
            (of.arn("athena", f"workgroup/{names.name}"),),
        ),
    )


def _messages_and_secrets(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "Queues",
            verbs("sqs", "CreateQueue DeleteQueue Get* ListQueueTags SetQueueAttributes *agQueue"),
            (names.queue_arn(f"{names.name}-*"),),
        ),
        Grant(
            "Topic",
            verbs("sns", "CreateTopic DeleteTopic Get* List* SetTopicAttributes *ubscribe *agResource"),
            (names.alerts_arn, f"{names.alerts_arn}:*"),
        ),
        Grant(
            "Rules",
            ("events:*Rule", "events:*Targets", "events:*argetsByRule", "events:*agResource"),
            (of.arn("events", f"rule/{names.name}-*"),),
        ),
        Grant("MakeKeys", ("kms:CreateKey", "kms:ListAliases"), ("*",), UNNAMED, region),
        Grant(
            "Keys",
            verbs(
                "kms",
                "*Alias CreateGrant Describe* EnableKeyRotation GetKey* List* PutKeyPolicy "
                "ScheduleKeyDeletion *agResource",
            ),
            (of.arn("kms", "key/*"), of.arn("kms", f"alias/{names.name}*")),
            "AWS names keys.",
        ),
        Grant(
            "Secrets",
            verbs(
                "secretsmanager",
                "CreateSecret DeleteSecret DescribeSecret RotateSecret UpdateSecret TagResource UntagResource",
            ),
            (of.arn("secretsmanager", f"secret:{names.name}*"), of.arn("secretsmanager", "secret:rds!*")),
        ),
        Grant("Passwords", ("secretsmanager:GetRandomPassword",), ("*",), UNNAMED, region),
    )


def _network(region: Conditions) -> tuple[Grant, ...]:
    return (
        Grant(
            "Network",
            verbs(
                "ec2",
                "AllocateAddress Associate* Attach* Authorize* Create* Delete* Describe* Detach* "
                "Disassociate* GetSecurityGroupsForVpc Modify* ReleaseAddress ReplaceRoute* Revoke*",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        Grant(
            "NoMachines",
            ("ec2:CreateFleet", "ec2:CreateLaunchTemplate*", "ec2:ModifyInstance*", "ec2:RunInstances"),
            ("*",),
            "What is denied is denied whole.",
            allow=False,
        ),
        Grant("Balancers", ("elasticloadbalancing:*",), ("*",), UNNAMED, region),
        Grant(
            "PrivateNames",
            (
                "servicediscovery:*",
                "route53:*HostedZone*",
                "route53:ChangeResourceRecordSets",
                "route53:GetChange",
                "route53:List*",
            ),
            ("*",),
            "Route 53 has no region, and names zones itself.",
        ),
    )


def _running(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "Repositories",
            verbs("ecr", "*Repository* *LifecyclePolicy BatchDeleteImage Describe* List* PutImage* *agResource"),
            of.repositories,
        ),
        Grant("Project", ("codebuild:*Project*",), (of.project,)),
        Grant(
            "Cluster",
            ("ecs:*Cluster*", "ecs:*Service*", "ecs:*agResource"),
            (of.arn("ecs", f"cluster/{names.cluster}*"), of.arn("ecs", f"service/{names.cluster}*/*")),
        ),
        Grant(
            "Tasks",
            (
                "ecs:DeregisterTaskDefinition",
                "ecs:Describe*",
                "ecs:List*",
                "ecs:RegisterTaskDefinition",
                "ecs:TagResource",
                "application-autoscaling:*",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        Grant(
            "Logs",
            verbs("logs", "*LogGroup* *MetricFilter* *RetentionPolicy *agResource *LogDelivery *ResourcePolic*"),
            (
                of.arn("logs", f"log-group:/{names.name}/*"),
                of.arn("logs", f"log-group:/aws/rds/instance/{names.warehouse_instance}/*"),
            ),
        ),
        Grant("LogGroups", ("logs:DescribeLogGroups",), ("*",), UNNAMED, region),
        Grant(
            "Watching",
            ("cloudwatch:*Alarm*", "cloudwatch:*Dashboard*", "cloudwatch:*agResource"),
            (
                of.arn("cloudwatch", f"alarm:{names.name}*"),
                f"arn:{names.partition}:cloudwatch::{names.account}:dashboard/{names.name}*",
            ),
        ),
        Grant(
            "Budget",
            verbs("budgets", "ListTagsForResource ModifyBudget *agResource ViewBudget"),
            (f"arn:{names.partition}:budgets::{names.account}:budget/{names.name}-month",),
        ),
    )


def _roles(of: Arns) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "BoundedRoles",
            ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
            (of.role("*"),),
            conditions=equal("iam:PermissionsBoundary", names.boundary_arn),
        ),
        Grant(
            "Roles",
            verbs(
                "iam",
                "DeleteRole DeleteRolePolicy DetachRolePolicy Get* List* *agRole UpdateAssumeRolePolicy UpdateRole*",
            ),
            (of.role("*"),),
        ),
        Grant(
            "RunAs",
            ("iam:PassRole",),
            (of.role("*"),),
            conditions=equal("iam:PassedToService", *RUN_AS),
        ),
        Grant(
            "OfServices",
            ("iam:CreateServiceLinkedRole",),
            (f"arn:{names.partition}:iam::{names.account}:role/aws-service-role/*",),
            "AWS names the roles of its services, and what they may do.",
        ),
        Grant(
            "NotItself",
            ("iam:*",),
            (
                of.role("deploy"),
                names.execution_role_arn,
                names.boundary_arn,
                f"arn:{names.partition}:iam::{names.account}:policy/{names.name}-access*",
            ),
            "What is denied is denied whole.",
            allow=False,
        ),
    )

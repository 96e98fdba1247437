"""CloudFormation's role can create every resource; the boundary suffices for the roles of the stacks."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infra.environments import PARAMETER, environment, own_everything, templates_of
from totesys_infra.environment import Environment
from totesys_infra.policies.boundary import boundary
from totesys_infra.policies.execution import RUN_AS, execution
from totesys_infra.policies.statement import PolicyStatement

ENVIRONMENTS = (
    environment("high-availability", github_repository="shop/warehouse"),
    environment("standard", network={"egress": "endpoints"}, http="alb", github_repository="shop/warehouse"),
    own_everything(),
)
SCHEDULED = environment("scheduled", github_repository="shop/warehouse", source={"secret": PARAMETER})
SHOP = ENVIRONMENTS[0]
HERE = "eu-west-2:123456789012"
# The action that creates a resource, and its ARN if the template gives its name.
MAKING: Mapping[str, tuple[str, str | None]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": ("application-autoscaling:RegisterScalableTarget", None),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ("application-autoscaling:PutScalingPolicy", None),
    "AWS::Athena::WorkGroup": ("athena:CreateWorkGroup", f"arn:aws:athena:{HERE}:workgroup/{{Name}}"),
    "AWS::Budgets::Budget": ("budgets:ModifyBudget", "arn:aws:budgets::123456789012:budget/{Budget[BudgetName]}"),
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{HERE}:alarm:{{AlarmName}}"),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch:PutDashboard",
        "arn:aws:cloudwatch::123456789012:dashboard/{DashboardName}",
    ),
    "AWS::CodeBuild::Project": ("codebuild:CreateProject", f"arn:aws:codebuild:{HERE}:project/{{Name}}"),
    "AWS::EC2::EIP": ("ec2:AllocateAddress", None),
    "AWS::EC2::FlowLog": ("ec2:CreateFlowLogs", None),
    "AWS::EC2::InternetGateway": ("ec2:CreateInternetGateway", None),
    "AWS::EC2::NatGateway": ("ec2:CreateNatGateway", None),
    "AWS::EC2::Route": ("ec2:CreateRoute", None),
    "AWS::EC2::RouteTable": ("ec2:CreateRouteTable", None),
    "AWS::EC2::SecurityGroup": ("ec2:CreateSecurityGroup", None),
    "AWS::EC2::SecurityGroupEgress": ("ec2:AuthorizeSecurityGroupEgress", None),
    "AWS::EC2::SecurityGroupIngress": ("ec2:AuthorizeSecurityGroupIngress", None),
    "AWS::EC2::Subnet": ("ec2:CreateSubnet", None),
    "AWS::EC2::SubnetRouteTableAssociation": ("ec2:AssociateRouteTable", None),
    "AWS::EC2::VPC": ("ec2:CreateVpc", None),
    "AWS::EC2::VPCEndpoint": ("ec2:CreateVpcEndpoint", None),
    "AWS::EC2::VPCGatewayAttachment": ("ec2:AttachInternetGateway", None),
    "AWS::ECR::Repository": ("ecr:CreateRepository", f"arn:aws:ecr:{HERE}:repository/{{RepositoryName}}"),
    "AWS::ECS::Cluster": ("ecs:CreateCluster", f"arn:aws:ecs:{HERE}:cluster/{{ClusterName}}"),
    "AWS::ECS::Service": ("ecs:CreateService", f"arn:aws:ecs:{HERE}:service/shop/{{ServiceName}}"),
    "AWS::ECS::TaskDefinition": ("ecs:RegisterTaskDefinition", None),
    "AWS::ElasticLoadBalancingV2::Listener": ("elasticloadbalancing:CreateListener", None),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("elasticloadbalancing:CreateLoadBalancer", None),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("elasticloadbalancing:CreateTargetGroup", None),
    "AWS::Events::Rule": ("events:PutRule", f"arn:aws:events:{HERE}:rule/{{Name}}"),
    "AWS::Glue::Database": ("glue:CreateDatabase", f"arn:aws:glue:{HERE}:database/{{DatabaseInput[Name]}}"),
    "AWS::Glue::Table": ("glue:CreateTable", f"arn:aws:glue:{HERE}:table/{{DatabaseName}}/{{TableInput[Name]}}"),
    "AWS::IAM::Policy": ("iam:PutRolePolicy", None),
    "AWS::IAM::Role": ("iam:CreateRole", None),
    "AWS::KMS::Key": ("kms:CreateKey", None),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup", f"arn:aws:logs:{HERE}:log-group:{{LogGroupName}}"),
    "AWS::Logs::MetricFilter": ("logs:PutMetricFilter", f"arn:aws:logs:{HERE}:log-group:{{LogGroupName}}"),
    "AWS::RDS::DBInstance": ("rds:CreateDBInstance", f"arn:aws:rds:{HERE}:db:{{DBInstanceIdentifier}}"),
    "AWS::RDS::DBParameterGroup": ("rds:CreateDBParameterGroup", None),
    "AWS::RDS::DBSubnetGroup": ("rds:CreateDBSubnetGroup", None),
    "AWS::S3::Bucket": ("s3:CreateBucket", "arn:aws:s3:::{BucketName}"),
    "AWS::S3::BucketPolicy": ("s3:PutBucketPolicy", None),
    "AWS::SNS::Subscription": ("sns:Subscribe", None),
    "AWS::SNS::Topic": ("sns:CreateTopic", f"arn:aws:sns:{HERE}:{{TopicName}}"),
    "AWS::SNS::TopicPolicy": ("sns:SetTopicAttributes", None),
    "AWS::SQS::Queue": ("sqs:CreateQueue", f"arn:aws:sqs:{HERE}:{{QueueName}}"),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes", None),
    "AWS::Scheduler::Schedule": ("scheduler:CreateSchedule", f"arn:aws:scheduler:{HERE}:schedule/default/{{Name}}"),
    "AWS::SecretsManager::Secret": (
        "secretsmanager:CreateSecret",
        f"arn:aws:secretsmanager:{HERE}:secret:{{Name}}-aB1",
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("servicediscovery:CreatePrivateDnsNamespace", None),
    "AWS::ServiceDiscovery::Service": ("servicediscovery:CreateService", None),
}


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    """The resources that CloudFormation's role creates."""
    return [
        resource
        for one in (*ENVIRONMENTS, SCHEDULED)
        for name, template in templates_of(one).items()
        if name != one.names.stack("access")
        for resource in template["Resources"].values()
    ]


def allows(grants: Iterable[PolicyStatement], action: str, arn: str | None) -> bool:
    """Whether a statement allows the action, and on this resource if it is known."""
    return any(
        one.allow
        and any(fnmatchcase(action, pattern) for pattern in one.actions)
        and (arn is None or any(fnmatchcase(arn, pattern) for pattern in one.resources))
        for one in grants
    )


def named(value: Any) -> Any:
    """A property with the environment's name instead of the parameter."""
    if isinstance(value, dict):
        if "Fn::Sub" in value:
            return value["Fn::Sub"].replace("${Name}", SHOP.name)
        return {key: named(one) for key, one in value.items()}
    return value


def test_cloudformation_may_create_every_resource_of_the_stacks(made: list[dict[str, Any]]) -> None:
    given = [grant for grants in execution(SHOP.names).values() for grant in grants]
    refused = set()
    for resource in made:
        action, pattern = MAKING[resource["Type"]]
        arn = None if pattern is None else pattern.format_map(named(resource["Properties"]))
        if not allows(given, action, arn):
            refused.add((action, arn))
    assert refused == set()


def test_cloudformation_passes_roles_only_to_the_services_that_assume_them(made: list[dict[str, Any]]) -> None:
    roles = [one["Properties"] for one in made if one["Type"] == "AWS::IAM::Role"]
    taking = {role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] for role in roles}
    assert taking == set(RUN_AS)


@pytest.mark.parametrize("environments", [ENVIRONMENTS, (SCHEDULED,)], ids=["services", "scheduled"])
def test_the_boundary_allows_exactly_what_the_roles_of_the_stacks_use(environments: tuple[Environment, ...]) -> None:
    used = {
        action
        for one in environments
        for name, template in templates_of(one).items()
        if name != one.names.stack("access")
        for resource in template["Resources"].values()
        for action in actions(resource)
    }
    bound = boundary(environments[0])
    assert {action for action in used if not allows(bound, action, None)} == set()
    patterns = {pattern for one in bound for pattern in one.actions}
    unused = {one for one in patterns if not any(fnmatchcase(action, one) for action in used)}
    # For a secret under a key of one's own, which no template knows.
    assert unused == {"kms:Decrypt"}


def actions(resource: dict[str, Any]) -> set[str]:
    """The actions in the policies of a role."""
    properties = resource.get("Properties", {})
    match resource["Type"]:
        case "AWS::IAM::Role":
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        case "AWS::IAM::Policy":
            documents = [properties["PolicyDocument"]]
        case _:
            documents = []
    found = (statement["Action"] for document in documents for statement in document["Statement"])
    return {action for one in found for action in (one if isinstance(one, list) else [one])}

"""Faults to plant into valid templates, each with the check that has to catch it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.templates.finding import Body, Template, Tool, of_type

Plant = Callable[[Body], object]


@dataclass(frozen=True)
class Fault:
    """A fault in a stack, and the rule of a tool that has to report it. Others may report it too."""

    what: str
    stack: str
    plant: Plant
    tool: Tool
    rule: str

    @property
    def label(self) -> str:
        """The name of the variant, without dots and blanks."""
        return self.what.replace(" ", "-").replace(".", "")

    def into(self, template: Template) -> Template:
        """The template with the fault in it."""
        body = deepcopy(template.body)
        self.plant(body)
        assert body != template.body, f"{self.what}: nothing was planted"
        return Template(template.stack, self.label, body)


def first(body: Body, kind: str) -> Body:
    """The first resource of a type: its properties."""
    return next(properties for _, properties in of_type(body, kind))


def with_(kind: str, **properties: Any) -> Plant:
    """Sets properties of the first resource of a type."""
    return lambda body: first(body, kind).update(properties)


def without(kind: str, *properties: str) -> Plant:
    """Removes properties from the first resource of a type that has them."""

    def plant(body: Body) -> None:
        found = next(p for _, p in of_type(body, kind) if set(properties) <= set(p))
        for name in properties:
            del found[name]

    return plant


def with_container(**properties: Any) -> Plant:
    """Sets properties of the first container."""
    return lambda body: first(body, "AWS::ECS::TaskDefinition")["ContainerDefinitions"][0].update(properties)


def with_resource(kind: str, **properties: Any) -> Plant:
    """Adds a resource."""
    return lambda body: body["Resources"].update(Planted={"Type": kind, "Properties": properties})


def with_policy(kind: str, **policies: str) -> Plant:
    """Sets the deletion policies of the first resource of a type."""
    return lambda body: next(r for r in body["Resources"].values() if r["Type"] == kind).update(policies)


def plain_text_allowed(kind: str) -> Plant:
    """Removes the denying statements from the first policy of a kind."""

    def plant(body: Body) -> None:
        document = first(body, kind)["PolicyDocument"]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Effect"] != "Deny"]

    return plant


def allowing(**changes: Any) -> Plant:
    """Changes the first statement of the first role that has one."""

    def plant(body: Body) -> None:
        role = next(p for _, p in of_type(body, "AWS::IAM::Role") if "Policies" in p)
        role["Policies"][0]["PolicyDocument"]["Statement"][0].update(changes)

    return plant


def open_to(cidr: str) -> Plant:
    """Admits an address range through the first security group."""
    rule = {"CidrIp": cidr, "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "Description": "planted"}
    return with_("AWS::EC2::SecurityGroup", SecurityGroupIngress=[rule])


def newest_image(body: Body) -> None:
    """Makes the first container run the newest image."""
    container = first(body, "AWS::ECS::TaskDefinition")["ContainerDefinitions"][0]
    container["Image"]["Fn::Join"][1][-1] = ":latest"


def padded(body: Body) -> None:
    """Makes a template too long with valid resources."""
    queue_id, _ = next(of_type(body, "AWS::SQS::Queue"))
    body["Outputs"] |= {f"Padding{n}": {"Value": {"Ref": queue_id}, "Description": "-" * 500} for n in range(100)}


FAULTS: tuple[Fault, ...] = (
    Fault(
        "public bucket",
        "data-plane",
        with_("AWS::S3::Bucket", PublicAccessBlockConfiguration={"BlockPublicAcls": False}),
        "cdk-nag",
        "AwsSolutions-S2",
    ),
    Fault(
        "bucket policy that may become public",
        "data-plane",
        without("AWS::S3::Bucket", "PublicAccessBlockConfiguration"),
        "checkov",
        "CKV_AWS_54",
    ),
    Fault(
        "bucket without encryption",
        "data-plane",
        without("AWS::S3::Bucket", "BucketEncryption"),
        "totesys",
        "encrypted",
    ),
    Fault(
        "bucket deleted with its stack",
        "data-plane",
        with_policy("AWS::S3::Bucket", DeletionPolicy="Delete", UpdateReplacePolicy="Delete"),
        "totesys",
        "data_is_kept",
    ),
    Fault(
        "bucket that accepts plain HTTP",
        "data-plane",
        plain_text_allowed("AWS::S3::BucketPolicy"),
        "cdk-nag",
        "AwsSolutions-S10",
    ),
    Fault(
        "queue without encryption",
        "data-plane",
        with_("AWS::SQS::Queue", SqsManagedSseEnabled=False),
        "totesys",
        "encrypted",
    ),
    Fault(
        "queue that accepts plain HTTP",
        "data-plane",
        plain_text_allowed("AWS::SQS::QueuePolicy"),
        "cdk-nag",
        "AwsSolutions-SQS4",
    ),
    Fault(
        "dead-letter queue missing",
        "data-plane",
        without("AWS::SQS::Queue", "RedrivePolicy"),
        "cdk-nag",
        "AwsSolutions-SQS3",
    ),
    Fault(
        "misspelt property",
        "data-plane",
        with_("AWS::SQS::Queue", VisibilityTimeOut=60),
        "cfn-lint",
        "E3002",
    ),
    Fault(
        "schedule that EventBridge rejects",
        "data-plane",
        with_("AWS::Events::Rule", ScheduleExpression="rate(5 minute)"),
        "cfn-lint",
        "E3027",
    ),
    Fault(
        "reference to a missing resource",
        "data-plane",
        with_("AWS::SQS::Queue", QueueName={"Ref": "Nowhere"}),
        "cloudformation-validate",
        "F1020",
    ),
    Fault(
        "custom resource",
        "data-plane",
        with_resource("Custom::Setup", ServiceToken="arn:aws:lambda:eu-west-2:123456789012:function:setup"),
        "totesys",
        "plain_cloudformation",
    ),
    Fault("template too large for a request", "data-plane", padded, "totesys", "small_enough"),
    Fault("security group open to the world", "network", open_to("0.0.0.0/0"), "cdk-nag", "AwsSolutions-EC23"),
    Fault(
        "log group without retention",
        "services",
        without("AWS::Logs::LogGroup", "RetentionInDays"),
        "totesys",
        "logs_end",
    ),
    Fault("stop timeout of 999", "services", with_container(StopTimeout=999), "totesys", "containers_stop_in_time"),
    Fault(
        "stop before the grace ends", "services", with_container(StopTimeout=10), "totesys", "containers_stop_in_time"
    ),
    Fault("container running as root", "services", with_container(User="root"), "totesys", "containers_are_confined"),
    Fault("image with a mutable tag", "services", newest_image, "totesys", "images_never_change"),
    Fault(
        "mutable image tags",
        "build",
        with_("AWS::ECR::Repository", ImageTagMutability="MUTABLE"),
        "checkov",
        "CKV_AWS_51",
    ),
    Fault(
        "task size that Fargate lacks",
        "services",
        with_("AWS::ECS::TaskDefinition", Cpu="256", Memory="4096"),
        "cfn-lint",
        "E3047",
    ),
    Fault(
        "deployment without a circuit breaker",
        "services",
        without("AWS::ECS::Service", "DeploymentConfiguration"),
        "totesys",
        "deployments_roll_back",
    ),
    Fault("wildcard action", "services", allowing(Action="s3:*"), "cdk-nag", "AwsSolutions-IAM5[Action::s3:*]"),
    Fault("wildcard resource", "services", allowing(Action="s3:GetObject", Resource="*"), "totesys", "named_resources"),
    Fault(
        "database with a public address",
        "warehouse",
        with_("AWS::RDS::DBInstance", PubliclyAccessible=True),
        "checkov",
        "CKV_AWS_17",
    ),
    Fault(
        "database without encryption",
        "warehouse",
        with_("AWS::RDS::DBInstance", StorageEncrypted=False),
        "cloudformation-validate",
        "W9008",
    ),
    Fault(
        "database deleted with its stack",
        "warehouse",
        with_policy("AWS::RDS::DBInstance", DeletionPolicy="Delete"),
        "totesys",
        "data_is_kept",
    ),
    Fault(
        "alarm without a recipient",
        "watching",
        without("AWS::CloudWatch::Alarm", "AlarmActions"),
        "totesys",
        "alarms_reach_somebody",
    ),
    Fault(
        "alarm without instructions",
        "watching",
        with_("AWS::CloudWatch::Alarm", AlarmDescription="Something is wrong."),
        "totesys",
        "alarms_reach_somebody",
    ),
)

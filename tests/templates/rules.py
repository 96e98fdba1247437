"""Our own rules for every template: what the tools do not check, or only warn about."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.templates.finding import Body, Finding, Template, of_type
from totesys.service_settings import ServiceSettings
from totesys_infra.stacks.task_definitions import EXEC

# (logical id, what is wrong)
Faults = Iterator[tuple[str, str]]

# The largest template in a request.
BYTES_AT_MOST = 51_200
RESOURCES_AT_MOST = 500
# Fargate kills a task after 120 s.
STOP_TIMEOUT_AT_MOST = 120
# From the end of the grace period to the end of the process: the last response, the pools, the interpreter.
STOP_SLACK = 5

ENCRYPTED: dict[str, Callable[[Body], bool]] = {
    "AWS::S3::Bucket": lambda p: "BucketEncryption" in p,
    "AWS::SQS::Queue": lambda p: p.get("SqsManagedSseEnabled") is True or "KmsMasterKeyId" in p,
    "AWS::SNS::Topic": lambda p: "KmsMasterKeyId" in p,
    "AWS::RDS::DBInstance": lambda p: p.get("StorageEncrypted") is True,
    "AWS::RDS::DBCluster": lambda p: p.get("StorageEncrypted") is True,
    "AWS::EFS::FileSystem": lambda p: p.get("Encrypted") is True,
    "AWS::DynamoDB::Table": lambda p: "SSESpecification" in p,
}
# The policies that deny `aws:SecureTransport: false`.
TLS_ONLY = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
}
# Resources whose data exists nowhere else, and their allowed deletion policies.
KEPT = {
    "AWS::S3::Bucket": {"Retain", "RetainExceptOnCreate"},
    "AWS::RDS::DBInstance": {"Retain", "RetainExceptOnCreate", "Snapshot"},
}
# Actions that take no resource.
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken", *EXEC}


def small_enough(template: Template) -> Faults:
    # Local stacks send the data plane's committed text; deployments send compact JSON.
    committed = template.stack == "data-plane"
    text = json.dumps(template.body, indent=2) if committed else json.dumps(template.body, separators=(",", ":"))
    if (size := len(text.encode())) > BYTES_AT_MOST:
        yield "", f"has {size:,} bytes, more than {BYTES_AT_MOST:,}"
    if len(template.body["Resources"]) > RESOURCES_AT_MOST:
        yield "", f"has {len(template.body['Resources'])} resources, more than {RESOURCES_AT_MOST}"


def plain_cloudformation(template: Template) -> Faults:
    for logical_id, resource in template.body["Resources"].items():
        kind = resource["Type"]
        if kind.startswith(("Custom::", "AWS::Lambda::")) or kind == "AWS::CloudFormation::CustomResource":
            yield logical_id, f"is {kind}: code that runs while a stack is created"
        if any(key.startswith("aws:asset") for key in resource.get("Metadata", {})):
            yield logical_id, "uses an asset"
    if "Transform" in template.body:
        yield "", "has a transform"


def encrypted(template: Template) -> Faults:
    for logical_id, properties in of_type(template.body, *ENCRYPTED):
        if not ENCRYPTED[template.body["Resources"][logical_id]["Type"]](properties):
            yield logical_id, "is not encrypted at rest"


def tls_only(template: Template) -> Faults:
    for kind, (policy, target) in TLS_ONLY.items():
        guarded = [
            reference
            for _, properties in of_type(template.body, policy)
            if any(_denies_plain_text(statement) for statement in _listed(properties["PolicyDocument"]["Statement"]))
            for reference in _listed(properties[target])
        ]
        for logical_id, _ in of_type(template.body, kind):
            if {"Ref": logical_id} not in guarded:
                yield logical_id, "allows access without TLS"


def _denies_plain_text(statement: Body) -> bool:
    return statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}


def closed_to_the_world(template: Template) -> Faults:
    for logical_id, properties in of_type(template.body, "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"):
        for rule in properties.get("SecurityGroupIngress", []) or [properties]:
            if rule.get("CidrIp") == "0.0.0.0/0" or rule.get("CidrIpv6") == "::/0":
                yield logical_id, "is open to the internet"
    for logical_id, properties in of_type(template.body, "AWS::RDS::DBInstance"):
        if properties.get("PubliclyAccessible") is not False:
            yield logical_id, "may have a public address"


def logs_end(template: Template) -> Faults:
    for logical_id, properties in of_type(template.body, "AWS::Logs::LogGroup"):
        if "RetentionInDays" not in properties:
            yield logical_id, "has no retention"


def data_is_kept(template: Template) -> Faults:
    for logical_id, resource in template.body["Resources"].items():
        policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        if not set(policies) <= KEPT.get(resource["Type"], set(policies)):
            yield logical_id, f"loses its data when it is deleted or replaced: {policies}"


def named_actions(template: Template) -> Faults:
    for logical_id, statement in statements(template.body):
        for action in _listed(statement.get("Action", "*")):
            if "*" in action:
                yield logical_id, f"allows {action}"


def named_resources(template: Template) -> Faults:
    for logical_id, statement in statements(template.body):
        actions = set(_listed(statement.get("Action", "*"))) - WITHOUT_RESOURCE
        if actions and "Principal" not in statement and "*" in _listed(statement.get("Resource", "*")):
            yield logical_id, f"allows {', '.join(sorted(actions))} on every resource"


def statements(body: Body) -> Iterator[tuple[str, Body]]:
    """The allowing statements of every policy, each with its resource."""
    for logical_id, resource in body["Resources"].items():
        for statement in _statements(resource.get("Properties", {})):
            if statement["Effect"] == "Allow":
                yield logical_id, statement


def _statements(value: object) -> Iterator[Body]:
    if isinstance(value, dict):
        if "Statement" in value:
            yield from _listed(value["Statement"])
        else:
            for inner in value.values():
                yield from _statements(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _statements(inner)


def containers_are_confined(template: Template) -> Faults:
    for logical_id, container in containers(template.body):
        if container.get("User", "root").partition(":")[0] in ("root", "0"):
            yield logical_id, f"container {container['Name']} runs as root"
        if container.get("ReadonlyRootFilesystem") is not True:
            yield logical_id, f"container {container['Name']} can write to its image"
        if container.get("Privileged"):
            yield logical_id, f"container {container['Name']} is privileged"


def containers_stop_in_time(template: Template) -> Faults:
    grace = ServiceSettings.model_fields["shutdown_grace"].default.total_seconds()
    for logical_id, container in containers(template.body):
        timeout = container.get("StopTimeout", 30)
        if not grace + STOP_SLACK <= timeout <= STOP_TIMEOUT_AT_MOST:
            allowed = f"{grace + STOP_SLACK:.0f} to {STOP_TIMEOUT_AT_MOST} s"
            yield logical_id, f"container {container['Name']} has a stop timeout of {timeout} s, not of {allowed}"


def images_never_change(template: Template) -> Faults:
    for logical_id, properties in of_type(template.body, "AWS::ECR::Repository"):
        if properties.get("ImageTagMutability") != "IMMUTABLE":
            yield logical_id, "has mutable image tags"
    for logical_id, container in containers(template.body):
        if json.dumps(container["Image"]).rstrip('"]}').endswith((":latest", ":")):
            yield logical_id, f"container {container['Name']} runs the newest image"


def containers(body: Body) -> Iterator[tuple[str, Body]]:
    """The containers of all task definitions."""
    for logical_id, properties in of_type(body, "AWS::ECS::TaskDefinition"):
        for container in properties["ContainerDefinitions"]:
            yield logical_id, container


def deployments_roll_back(template: Template) -> Faults:
    for logical_id, properties in of_type(template.body, "AWS::ECS::Service"):
        breaker = properties.get("DeploymentConfiguration", {}).get("DeploymentCircuitBreaker")
        if breaker != {"Enable": True, "Rollback": True}:
            yield logical_id, "does not roll back a release that fails to start"


def alarms_reach_somebody(template: Template) -> Faults:
    for logical_id, properties in of_type(template.body, "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        if not properties.get("AlarmActions") or properties.get("ActionsEnabled") is False:
            yield logical_id, "fires without notifying anybody"
        if "docs/runbook.md" not in json.dumps(properties.get("AlarmDescription", "")):
            yield logical_id, "has no link into docs/runbook.md"


def failures_are_set_aside(template: Template) -> Faults:
    targets = json.dumps([p.get("RedrivePolicy") for _, p in of_type(template.body, "AWS::SQS::Queue")])
    for logical_id, properties in of_type(template.body, "AWS::SQS::Queue"):
        if "RedrivePolicy" not in properties and f'"{logical_id}"' not in targets:
            yield logical_id, "has no dead-letter queue and is not one"


RULES: tuple[Callable[[Template], Faults], ...] = (
    small_enough,
    plain_cloudformation,
    encrypted,
    tls_only,
    closed_to_the_world,
    logs_end,
    data_is_kept,
    named_actions,
    named_resources,
    containers_are_confined,
    containers_stop_in_time,
    images_never_change,
    deployments_roll_back,
    alarms_reach_somebody,
    failures_are_set_aside,
)


def own_rules(templates: Iterable[Template]) -> list[Finding]:
    """The findings of our own rules."""
    return [
        Finding("totesys", rule.__name__, template.label, logical_id, message)
        for template in templates
        for rule in RULES
        for logical_id, message in rule(template)
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

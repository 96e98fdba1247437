"""What the emulator lacks, and the templates without it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from totesys_infra.deploy.template import StackTemplate

Template = dict[str, Any]

# The types of resources that the emulator's CloudFormation does not know, each with what stays unproven without it.
RESOURCES = {
    "AWS::EC2::FlowLog": "The VPC's traffic is not logged.",
    "AWS::EC2::SecurityGroupEgress": "Containers on the bridge reach every address.",
    "AWS::EC2::SecurityGroupIngress": "Every container on the bridge reaches them.",
    "AWS::EC2::EIP": "There are no addresses to allocate.",
    "AWS::EC2::NatGateway": "Containers on the bridge need no route.",
    "AWS::ApplicationAutoScaling::ScalableTarget": "Services keep their number of tasks.",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "Services keep their number of tasks.",
    "AWS::Budgets::Budget": "Nothing is billed.",
}
# Texts that a template has for AWS, what the emulator needs in their place, and why.
TEXTS = (
    ("sslmode=verify-full", "sslmode=prefer", "No authority that the images trust has signed for the test's Postgres."),
    ("https://sqs.", "http://sqs.", "The emulator has no TLS."),
)


def adapted(template: StackTemplate) -> StackTemplate:
    """A template without what the emulator lacks, and without what refers to it."""
    content = json.loads(_replaced(template.body))
    lost = {key for key, one in content["Resources"].items() if one["Type"] in RESOURCES}
    while more := {key for key, one in content["Resources"].items() if _refers(one, lost)} - lost:
        lost |= more
    content["Resources"] = {
        key: _independent(one, lost) for key, one in content["Resources"].items() if key not in lost
    }
    content["Outputs"] = {key: one for key, one in content.get("Outputs", {}).items() if not _refers(one, lost)}
    return StackTemplate(template.name, json.dumps(content), template.parameters)


def _replaced(body: str) -> str:
    for text, other, _ in TEXTS:
        body = body.replace(text, other)
    return body


def _refers(part: Any, lost: set[str]) -> bool:
    return any(one in lost for one in _references(part))


def _references(part: Any) -> Iterator[str]:
    """The logical ids that a part of a template refers to, `DependsOn` aside."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.split(".")[0]
            elif key != "DependsOn":
                yield from _references(value)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


def _independent(resource: Template, lost: set[str]) -> Template:
    """A resource that does not wait for what is lost."""
    waits = resource.get("DependsOn", [])
    kept = [one for one in ([waits] if isinstance(waits, str) else waits) if one not in lost]
    return {key: value for key, value in resource.items() if key != "DependsOn"} | ({"DependsOn": kept} if kept else {})

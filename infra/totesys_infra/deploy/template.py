"""The stacks of an environment: the template and parameters of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.environment import Environment

IMAGE_TAG = "ImageTag"


@dataclass(frozen=True)
class StackTemplate:
    """A stack's name, its template as JSON, and the values of its parameters."""

    name: str
    body: str
    parameters: Mapping[str, str]

    @cached_property
    def content(self) -> dict[str, Any]:
        """The template."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def takes_images(self) -> bool:
        """Whether it runs images, which then have to exist before it."""
        return IMAGE_TAG in self.parameters

    @property
    def has_database(self) -> bool:
        """Whether it creates a database."""
        return any(resource["Type"] == "AWS::RDS::DBInstance" for resource in self.content["Resources"].values())

    @property
    def buckets(self) -> dict[str, str]:
        """The names of its buckets that outlive it, by logical id."""
        return {
            logical_id: str(name["Fn::Sub"]).replace("${Name}", self.parameters["Name"])
            for logical_id, resource in self.content["Resources"].items()
            if resource["Type"] == "AWS::S3::Bucket"
            and resource.get("DeletionPolicy") == "Retain"
            and isinstance(name := resource["Properties"].get("BucketName"), dict)
            and "Fn::Sub" in name
        }


def values(environment: Environment, image_tag: str) -> dict[str, str]:
    """The value of every parameter that a stack can declare."""
    return {
        "Name": environment.name,
        "Schedule": environment.tick,
        "SweepSchedule": environment.schedules.sweep,
        "VerifySchedule": environment.schedules.verify,
        "ScheduleState": "ENABLED",
        "AlertEmail": environment.alert_email,
        "AlertHttps": environment.alert_https or "",
        "TierDays": str(environment.lake.tier_days),
        "CsvDays": str(environment.lake.csv_days),
        "EncryptAlerts": "false" if environment.preset.frugal else "true",
        "Versioning": "true",
        # The stacks have no lakehouse task yet: a queue without a reader would only fill.
        "Lakehouse": "false",
        IMAGE_TAG: image_tag,
    }


def stack_template(name: str, content: Mapping[str, Any], known: Mapping[str, str]) -> StackTemplate:
    """A stack with the values of its parameters among the `known` ones.

    Raises DeployRefused for any other parameter: defaults are for local stacks, and would hide a missing setting.
    """
    declared: Mapping[str, object] = content.get("Parameters", {})
    for parameter in declared:
        if parameter not in known:
            raise DeployRefused(
                f"The stack {name} declares the parameter {parameter}, which no setting provides. "
                "Add its value in totesys_infra/deploy/template.py."
            )
    return StackTemplate(name, json.dumps(content, separators=(",", ":")), {key: known[key] for key in declared})

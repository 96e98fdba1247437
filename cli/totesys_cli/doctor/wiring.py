"""The notifications, queues and schedules that the data plane's template declares. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Notification:
    """A bucket's event that goes to a queue."""

    bucket: str
    event: str
    suffix: str
    queue: str


@dataclass(frozen=True)
class Redrive:
    """A queue's dead-letter queue, and after how many receives SQS moves a message there."""

    queue: str
    dead_letters: str
    receives: int


@dataclass(frozen=True)
class Rule:
    """A schedule that sends a message to a queue."""

    name: str
    queue: str
    input: str


@dataclass(frozen=True)
class Wiring:
    """All connections of a data plane."""

    notifications: tuple[Notification, ...]
    redrives: tuple[Redrive, ...]
    rules: tuple[Rule, ...]

    @property
    def queues(self) -> tuple[str, ...]:
        """The name of every queue, dead-letter queues after the others."""
        return (*(one.queue for one in self.redrives), *(one.dead_letters for one in self.redrives))


def wiring(template: str, name: str) -> Wiring:
    """The connections of the data plane `name`, as the CloudFormation template declares them.

    Resources that depend on a condition are left out: not every data plane has a lakehouse.
    """
    resources: Mapping[str, Any] = json.loads(template)["Resources"]
    properties = {logical: resource.get("Properties", {}) for logical, resource in resources.items()}

    def of(kind: str) -> Iterator[Mapping[str, Any]]:
        always = {logical: resource for logical, resource in resources.items() if "Condition" not in resource}
        return (properties[logical] for logical, resource in always.items() if resource["Type"] == kind)

    def queue(arn: Mapping[str, Any]) -> str:
        return _named(properties[arn["Fn::GetAtt"][0]]["QueueName"], name)

    return Wiring(
        tuple(
            Notification(_named(bucket["BucketName"], name), one["Event"], _suffix(one), queue(one["Queue"]))
            for bucket in of("AWS::S3::Bucket")
            for one in bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
        ),
        tuple(
            Redrive(_named(one["QueueName"], name), queue(policy["deadLetterTargetArn"]), policy["maxReceiveCount"])
            for one in of("AWS::SQS::Queue")
            if (policy := one.get("RedrivePolicy"))
        ),
        tuple(
            Rule(_named(rule["Name"], name), queue(target["Arn"]), target["Input"])
            for rule in of("AWS::Events::Rule")
            for target in rule["Targets"]
        ),
    )


def _named(text: Mapping[str, str], name: str) -> str:
    return text["Fn::Sub"].replace("${Name}", name)


def _suffix(notification: Mapping[str, Any]) -> str:
    rules = notification["Filter"]["S3Key"]["Rules"]
    return next((rule["Value"] for rule in rules if rule["Name"] == "suffix"), "")

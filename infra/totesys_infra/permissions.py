"""What each service may do in AWS: exactly what it does there. Pure data; the services stack makes policies of it."""

from dataclasses import dataclass

from totesys_infra.environment import Environment
from totesys_infra.names import Names, Purpose, Service


@dataclass(frozen=True)
class Grant:
    """Leave for `actions` on `resources`, and why."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str


_WRITES: dict[Service, tuple[Purpose, ...]] = {
    "ingest": ("ingest", "processed"),
    "transform": ("processed",),
    "load": ("processed",),
}


def grants(service: Service, names: Names, environment: Environment) -> tuple[Grant, ...]:
    """What the task of a service may do."""
    both: tuple[Purpose, ...] = ("ingest", "processed")
    queue = names.queue_arn(names.queue(service))
    return (
        Grant(
            ("s3:ListBucket",), tuple(names.bucket_arn(one) for one in both), "finds runs; a missing key is no refusal"
        ),
        Grant(("s3:GetObject",), tuple(names.bucket_arn(one, "*") for one in both), "reads the lake"),
        Grant(
            ("s3:PutObject", "s3:AbortMultipartUpload"),
            tuple(names.bucket_arn(one, "*") for one in _WRITES[service]),
            "writes parts and records",
        ),
        Grant(
            (
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:SendMessage",
                "sqs:GetQueueAttributes",
            ),
            (queue,),
            "its own messages",
        ),
        Grant(("sqs:SendMessage",), (names.queue_arn(names.dead_letters(service)),), "gives a message up"),
    )

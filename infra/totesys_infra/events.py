"""Events of ECS that no metric tells of, and what then is to be done. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys_infra.names import SERVICES, Names


@dataclass(frozen=True)
class Event:
    """An event of EventBridge that is worth an e-mail."""

    name: str
    section: str
    pattern: Mapping[str, object] = field(hash=False)
    description: str
    remedy: str


def events(names: Names) -> tuple[Event, ...]:
    """What ECS tells that no metric does: "Amazon ECS events" in its developer guide."""
    ecs = f"arn:{names.partition}:ecs:{names.region}:{names.account}"
    cluster = f"{ecs}:cluster/{names.cluster}"
    services = [f"{ecs}:service/{names.cluster}/{service}" for service in SERVICES]
    return (
        Event(
            "task-stopped",
            "task-stopped",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "clusterArn": [cluster],
                    "lastStatus": ["STOPPED"],
                    "stopCode": ["EssentialContainerExited", "TaskFailedToStart"],
                },
            },
            "A task has ended by itself, or could not start.",
            "Read its last log lines and its stopped reason; ECS has started another.",
        ),
        Event(
            "deployment-failed",
            "deployment-failed",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Deployment State Change"],
                "resources": services,
                "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            },
            "New tasks of a service did not become healthy, so ECS went back to the release before.",
            "Read the log of the tasks that failed before deploying again.",
        ),
    )

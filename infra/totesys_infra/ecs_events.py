"""ECS events that no metric shows, and what to do about them. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys_infra.names import SERVICES, Names


@dataclass(frozen=True)
class EcsEvent:
    """An EventBridge event that sends an e-mail."""

    name: str
    section: str
    pattern: Mapping[str, object] = field(hash=False)
    description: str
    remedy: str


def ecs_events(names: Names) -> tuple[EcsEvent, ...]:
    """The events of an environment. Source: "Amazon ECS events" in the developer guide."""
    ecs = f"arn:{names.partition}:ecs:{names.region}:{names.account}"
    cluster = f"{ecs}:cluster/{names.cluster}"
    services = [f"{ecs}:service/{names.cluster}/{service}" for service in SERVICES]
    return (
        EcsEvent(
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
            "A task stopped by itself or could not start.",
            "Read its last log lines and its stopped reason. ECS has started another task.",
        ),
        EcsEvent(
            "deployment-failed",
            "deployment-failed",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Deployment State Change"],
                "resources": services,
                "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            },
            "New tasks of a service did not become healthy, so ECS rolled back to the previous release.",
            "Read the logs of the failed tasks before you deploy again.",
        ),
    )

"""ECS events that no metric shows, and what to do about them. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys_infra.environment import Environment
from totesys_infra.names import PIPELINE, SERVICES


@dataclass(frozen=True)
class EcsEvent:
    """An EventBridge event that sends an e-mail."""

    name: str
    section: str
    pattern: Mapping[str, object] = field(hash=False)
    description: str
    remedy: str


def ecs_events(environment: Environment) -> tuple[EcsEvent, ...]:
    """The events of an environment. Source: "Amazon ECS events" in the developer guide."""
    names, preset = environment.names, environment.preset
    ecs = f"arn:{names.partition}:ecs:{names.region}:{names.account}"
    cluster = f"{ecs}:cluster/{names.cluster}"
    running = (PIPELINE,) if preset.frugal else SERVICES
    services = [f"{ecs}:service/{names.cluster}/{service}" for service in running]
    stopped = {"clusterArn": [cluster], "lastStatus": ["STOPPED"]}
    # A scheduled task always stops by itself; what counts is whether a container failed.
    failed = (
        {"$or": [{"stopCode": ["TaskFailedToStart"]}, {"containers": {"exitCode": [{"anything-but": [0]}]}}]}
        if preset.scheduled
        else {"stopCode": ["EssentialContainerExited", "TaskFailedToStart"]}
    )
    started_again = "The next tick starts another." if preset.scheduled else "ECS has started another task."
    task_stopped = (
        EcsEvent(
            "task-stopped",
            "task-stopped",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": stopped | failed,
            },
            "A task failed or could not start." if preset.scheduled else "A task stopped by itself or could not start.",
            f"Read its last log lines and its stopped reason. {started_again}",
        ),
    )
    if preset.scheduled:
        return task_stopped
    return (
        *task_stopped,
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

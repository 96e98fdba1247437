"""Starts a one-off ECS task in the network of the services."""

from collections.abc import Sequence

from totesys_infra.deploy.cloudformation import describe
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.names import SERVICES


def start_task(deployment: Deployment, task: str, command: Sequence[str] | None = None) -> str:
    """Start the task with this name; its ARN. `command` replaces that of its only container.

    Raises DeployRefused if the network is missing, or if ECS has no room.
    """
    names = deployment.names
    stack = describe(deployment, names.stack("network"))
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])} if stack else {}
    if "TaskSubnets" not in outputs:
        raise DeployRefused(f"The stack {names.stack('network')} is not deployed, or older. Run make deploy first.")
    answer = deployment.aws.ecs.run_task(
        cluster=names.cluster,
        taskDefinition=names.family(task),
        launchType="FARGATE",
        startedBy=task,
        propagateTags="TASK_DEFINITION",
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": outputs["TaskSubnets"].split(","),
                "securityGroups": [outputs[f"{service.title()}SecurityGroup"] for service in SERVICES],
                "assignPublicIp": "ENABLED" if outputs["TaskPublicAddress"] == "true" else "DISABLED",
            }
        },
        overrides={} if command is None else {"containerOverrides": [{"name": task, "command": list(command)}]},
    )
    if not answer["tasks"]:
        reasons = "; ".join(one.get("reason", "no reason given") for one in answer["failures"])
        raise DeployRefused(f"ECS cannot start the task: {reasons}.")
    return answer["tasks"][0]["taskArn"]

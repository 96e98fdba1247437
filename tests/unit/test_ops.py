"""`make ops`: a command as a one-off task, with its output and its exit code."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from totesys_infra.deploy.clients import AwsClients
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.deploy.ops import run
from totesys_infra.environment_file import FOLDER, read_environment

NAME = "totesys-example"
TASK = f"arn:aws:ecs:eu-west-2:123456789012:task/{NAME}/abc123"
OUTPUTS = {
    "TaskSubnets": "subnet-1,subnet-2",
    "IngestSecurityGroup": "sg-1",
    "TransformSecurityGroup": "sg-2",
    "LoadSecurityGroup": "sg-3",
    "TaskPublicAddress": "true",
}
STREAM = {"logGroupName": f"/{NAME}/ops", "logStreamName": "ops/ops/abc123", "startFromHead": True}


class Aws:
    """AWS as it answers each call, in order. The emulator only pretends that a task runs."""

    def __init__(self, cloudformation: Stubber, ecs: Stubber, logs: Stubber) -> None:
        self.cloudformation, self.ecs, self.logs = cloudformation, ecs, logs

    def has_outputs(self, outputs: dict[str, str]) -> None:
        stack = {
            "StackName": f"{NAME}-network",
            "StackStatus": "CREATE_COMPLETE",
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "Outputs": [{"OutputKey": key, "OutputValue": text} for key, text in outputs.items()],
        }
        self.cloudformation.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": f"{NAME}-network"})

    def starts(self, command: list[str], answer: dict[str, Any]) -> None:
        self.ecs.add_response(
            "run_task",
            answer,
            {
                "cluster": NAME,
                "taskDefinition": f"{NAME}-ops",
                "launchType": "FARGATE",
                "startedBy": "ops",
                "propagateTags": "TASK_DEFINITION",
                "networkConfiguration": {
                    "awsvpcConfiguration": {
                        "subnets": ["subnet-1", "subnet-2"],
                        "securityGroups": ["sg-1", "sg-2", "sg-3"],
                        "assignPublicIp": "ENABLED",
                    }
                },
                "overrides": {"containerOverrides": [{"name": "ops", "command": command}]},
            },
        )

    def is_in(self, status: str, **more: object) -> None:
        self.ecs.add_response("describe_tasks", {"tasks": [{"taskArn": TASK, "lastStatus": status, **more}]})

    def logs_page(self, given: str | None, lines: list[str], following: str) -> None:
        events = [{"message": line} for line in lines]
        wanted = STREAM if given is None else {**STREAM, "nextToken": given}
        self.logs.add_response("get_log_events", {"events": events, "nextForwardToken": following}, wanted)


@contextmanager
def aws_and_deployment() -> Iterator[tuple[Aws, Deployment, list[str]]]:
    clients, told = AwsClients("eu-west-2", boto3.Session("key", "secret")), list[str]()
    with ExitStack() as stack:
        stubs = [stack.enter_context(Stubber(one)) for one in (clients.cloudformation, clients.ecs, clients.logs)]
        yield Aws(*stubs), Deployment(read_environment(FOLDER / "example.toml"), clients, told.append), told
        for stub in stubs:
            stub.assert_no_pending_responses()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_command_s_lines_come_once_and_in_order_and_its_exit_code_is_returned(code: int) -> None:
    with aws_and_deployment() as (aws, deployment, told):
        aws.has_outputs(OUTPUTS)
        aws.starts(["verify", "--strict"], {"tasks": [{"taskArn": TASK}], "failures": []})
        aws.is_in("PENDING")
        aws.logs.add_client_error("get_log_events", "ResourceNotFoundException")
        aws.is_in("RUNNING")
        aws.logs_page(None, ["one", "two"], "f/1")
        aws.logs_page("f/1", [], "f/1")
        aws.is_in("STOPPED", containers=[{"name": "ops", "exitCode": code}])
        aws.logs_page("f/1", ["three"], "f/2")
        aws.logs_page("f/2", [], "f/2")
        assert run(deployment, ["verify", "--strict"], poll_seconds=0) == code
    assert told[1:] == ["one", "two", "three"]


def test_a_task_that_never_ran_fails_with_its_reason() -> None:
    with aws_and_deployment() as (aws, deployment, told):
        aws.has_outputs(OUTPUTS)
        aws.starts(["verify"], {"tasks": [{"taskArn": TASK}], "failures": []})
        aws.is_in("STOPPED", containers=[{"name": "ops"}], stoppedReason="CannotPullContainerError: not found")
        aws.logs.add_client_error("get_log_events", "ResourceNotFoundException")
        assert run(deployment, ["verify"], poll_seconds=0) == 1
    assert told[-1] == "The task did not run: CannotPullContainerError: not found"


def test_a_task_that_ecs_refuses_and_a_stack_without_the_task_are_explained() -> None:
    with aws_and_deployment() as (aws, deployment, _):
        aws.has_outputs(OUTPUTS)
        aws.starts(["verify"], {"tasks": [], "failures": [{"reason": "RESOURCE:CPU"}]})
        with pytest.raises(DeployRefused, match="cannot start the task: RESOURCE:CPU"):
            run(deployment, ["verify"])
    with aws_and_deployment() as (aws, deployment, _):
        aws.has_outputs({})
        with pytest.raises(DeployRefused, match=f"{NAME}-network is not deployed, or older"):
            run(deployment, ["verify"])

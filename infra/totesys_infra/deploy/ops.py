"""Runs a command inside an environment: `python -m totesys_infra.deploy.ops FILE.toml verify --strict`.

The command runs as a one-off ECS task beside the services, with the image of the deployed release: it reaches both
databases, which no machine outside the VPC does.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from totesys.errors import TotesysError
from totesys_infra.deploy.checks import check_account
from totesys_infra.deploy.clients import AwsClients, aws_errors, code
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.tasks import start_task
from totesys_infra.environment_file import read_environment
from totesys_infra.names import OPS

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TaskTypeDef
    from mypy_boto3_logs.type_defs import GetLogEventsRequestTypeDef

POLL_SECONDS = 2.0
_FAILED, _INTERRUPTED = 1, 130
_USAGE = 'Usage: make ops ENV=FILE.toml ARGS="verify --strict". The commands are those of totesys; try ARGS=--help.'


def run(deployment: Deployment, arguments: Sequence[str], poll_seconds: float = POLL_SECONDS) -> int:
    """Run `totesys` with these arguments, report each line of its output, and return its exit code.

    Raises DeployRefused if the task cannot start.
    """
    ecs, cluster = deployment.aws.ecs, deployment.names.cluster
    arn = start_task(deployment, OPS, arguments)
    deployment.report(f"The task {arn} is starting. This takes about a minute.")
    lines = _Log(deployment, arn)
    try:
        while (task := ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0])["lastStatus"] != "STOPPED":
            lines.report()
            time.sleep(poll_seconds)
    except KeyboardInterrupt:
        ecs.stop_task(cluster=cluster, task=arn, reason="Interrupted")
        deployment.report("The task was told to stop.")
        return _INTERRUPTED
    lines.report()
    return _exit_code(deployment, task)


class _Log:
    """The log stream of a task, read from where it was left."""

    def __init__(self, deployment: Deployment, arn: str) -> None:
        self._deployment = deployment
        self._stream = f"{OPS}/{OPS}/{arn.rpartition('/')[2]}"
        self._token = ""

    def report(self) -> None:
        """Report the lines that are new."""
        for line in self._new_lines():
            self._deployment.report(line)

    def _new_lines(self) -> Iterator[str]:
        while True:
            request: GetLogEventsRequestTypeDef = {
                "logGroupName": self._deployment.names.log_group(OPS),
                "logStreamName": self._stream,
                "startFromHead": True,
            }
            if self._token:
                request["nextToken"] = self._token
            try:
                page = self._deployment.aws.logs.get_log_events(**request)
            except ClientError as error:
                # The first line creates the stream.
                if code(error) == "ResourceNotFoundException":
                    return
                raise
            yield from (event.get("message", "") for event in page["events"])
            following = page["nextForwardToken"]
            # At the end, CloudWatch returns the token that it was given.
            if following == self._token or not page["events"]:
                self._token = following
                return
            self._token = following


def _exit_code(deployment: Deployment, task: "TaskTypeDef") -> int:
    codes = [one["exitCode"] for one in task.get("containers", []) if "exitCode" in one]
    if codes:
        return codes[0]
    deployment.report(f"The task did not run: {task.get('stoppedReason', 'no reason given')}")
    return _FAILED


def main(arguments: Sequence[str]) -> int:
    """Run the command in the environment of a file; returns its exit code."""
    if len(arguments) < 2:
        print(_USAGE, file=sys.stderr)
        return 2
    file, *command = arguments
    try:
        with aws_errors():
            environment = read_environment(Path(file))
            deployment = Deployment(environment, AwsClients(environment.region), lambda text: print(text, flush=True))
            check_account(deployment)
            return run(deployment, command)
    except TotesysError as error:
        print(f"{error.title}: {error}", file=sys.stderr)
        return _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

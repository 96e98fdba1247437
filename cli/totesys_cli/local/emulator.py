"""AWS on this machine: S3, SQS, EventBridge and CloudFormation from ministack, for clients with its credentials."""

import http.client
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.emulator_access import REGION, SERVICES, Credentials, keep
from totesys_cli.local.local_data_plane import LocalDataPlane, make_data_plane
from totesys_cli.local.ports import LOOPBACK, start_on_port
from totesys_cli.local.private_files import lock_folder
from totesys_cli.local.supervised_process import SupervisedProcess

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_NAME = "The AWS emulator"
# It writes everything it keeps before it answers a request. It would wait seconds for idle connections to close.
_STOP_SECONDS = 0.3
_ANSWER_SECONDS = 1.0


class Emulator:
    """A running emulator on loopback, which ends with this process at the latest."""

    def __init__(self, process: SupervisedProcess, port: int, scratch: Path, credentials: Credentials) -> None:
        self._process = process
        self.credentials = credentials
        self.port = port
        self.scratch = scratch
        self._session = boto3.Session(credentials.access_key, credentials.secret_key, region_name=REGION)
        self._config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})

    @classmethod
    def start(cls, state: Path | None = None, *, port: int | None = None, services: Sequence[str] = SERVICES) -> Self:
        """Start an emulator and wait until it responds.

        The folder `state` keeps S3 objects, each from the time its put is answered. Queues, messages and everything
        else end with the emulator, and `apply` creates them again. Without `state` nothing is kept. `port` is a
        loopback port; without one a free one is taken. Only `services` are served, to clients with the stack's
        `credentials`. Raises LocalStackError if it cannot start.
        """
        return start_on_port(lambda chosen: cls._start_on(chosen, state, services), port, _NAME)

    @classmethod
    def _start_on(cls, port: int, state: Path | None, services: Sequence[str]) -> Self:
        lock = [] if state is None else [lock_folder(state.absolute(), _NAME)]
        try:
            if state is not None:
                _make_folder(_objects(state))
            token, credentials = secrets.token_hex(8), Credentials()
            kept = keep(credentials, port)
            scratch = Path(tempfile.mkdtemp(prefix="totesys-emulator-"))
            log_file = scratch / "log"
            with log_file.open("wb") as output, log_file.open("rb") as log:
                process = SupervisedProcess.start(
                    [sys.executable, "-I", "-m", "totesys_cli.local.emulator_process"],
                    env=_environment(port, scratch, state, token, services) | credentials.environment(),
                    stdout=output,
                    stderr=output,
                    grace=_STOP_SECONDS,
                    cwd=scratch,
                    remove=[scratch, kept],
                    keep_open=lock,
                )
                process.wait_until_ready(lambda: _responds(port, token), f"{_NAME} on port {port}", log)
                return cls(process, port, scratch, credentials)
        finally:
            for descriptor in lock:
                os.close(descriptor)

    @property
    def endpoint_url(self) -> str:
        """The address of every service."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the emulator's supervisor, which ends only after the emulator."""
        return self._process.pid

    @cached_property
    def s3(self) -> "S3Client":
        """A client of S3."""
        return self._session.client("s3", endpoint_url=self.endpoint_url, config=self._config)

    @cached_property
    def sqs(self) -> "SQSClient":
        """A client of SQS."""
        return self._session.client("sqs", endpoint_url=self.endpoint_url, config=self._config)

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """A client of CloudFormation."""
        return self._session.client("cloudformation", endpoint_url=self.endpoint_url, config=self._config)

    def apply(
        self, template: str, name: str = "totesys", schedule: str | None = None, *, lakehouse: bool = False
    ) -> LocalDataPlane:
        """Create the data plane `name` from its CloudFormation template, or update it, as `make_data_plane` does."""
        return make_data_plane(
            self.cloudformation,
            self.s3,
            self.endpoint_url,
            self.credentials,
            template,
            name,
            schedule,
            lakehouse=lakehouse,
        )

    def stop(self) -> None:
        """Stop the emulator. Raises LocalStackError if it does not end."""
        self._process.stop()
        for client in ("s3", "sqs", "cloudformation"):
            if client in self.__dict__:
                self.__dict__.pop(client).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _objects(state: Path) -> Path:
    return state.absolute() / "s3"


def _make_folder(folder: Path) -> None:
    # Without it the emulator would continue, and keep nothing.
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Earlier releases created it readable by everyone.
        folder.chmod(0o700)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise LocalStackError(
            f"{_NAME} cannot keep its objects in {folder}: {error.strerror}. Choose another folder."
        ) from error


def _environment(port: int, scratch: Path, state: Path | None, token: str, services: Sequence[str]) -> dict[str, str]:
    """The emulator's whole environment: the caller's variables could point it at other state or at real AWS."""
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "SERVICES": ",".join(services),
        # The host in queue URLs; a name could resolve to IPv6, where nothing listens.
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        # The health page repeats it: it distinguishes this emulator from another on the same port.
        "MINISTACK_EDITION": token,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # If it can import `docker`, it removes containers that it takes for its own.
        "DOCKER_HOST": f"unix://{scratch / 'no-engine'}",
        "LOG_LEVEL": "WARNING",
    }
    if state is not None:
        # Only what is written at once. What the emulator saves at shutdown is lost after a kill.
        variables |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(_objects(state))}
    return variables


def _responds(port: int, token: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/_ministack/health")
        health = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(health, dict) and health.get("edition") == token

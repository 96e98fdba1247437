"""AWS on this machine: S3, SQS, EventBridge and CloudFormation from ministack, for clients with its credentials."""

import http.client
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import boto3
from botocore.config import Config

from totesys_cli.local.credentials import Credentials, keep
from totesys_cli.local.data_plane import REGION, DataPlane, make_data_plane
from totesys_cli.local.errors import LocalStackError
from totesys_cli.local.places import LOOPBACK, SERVICES, lock_folder, start_on_port
from totesys_cli.local.process import Guarded

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_NAME = "The AWS emulator"
_START_SECONDS = 60.0
# Whatever it keeps is on disk before a request is answered; it would wait some seconds for idle connections to close.
_STOP_SECONDS = 0.3
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 1.0


class Emulator:
    """A running emulator that listens on loopback, and ends with this process at the latest."""

    def __init__(self, process: Guarded, port: int, scratch: Path, credentials: Credentials) -> None:
        self._process = process
        self.credentials = credentials
        self.port = port
        self.scratch = scratch
        self._session = boto3.Session(credentials.access_key, credentials.secret_key, region_name=REGION)
        self._config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})

    @classmethod
    def start(cls, state: Path | None = None, *, port: int | None = None, services: Sequence[str] = SERVICES) -> Self:
        """Start an emulator and wait until it answers.

        S3's objects are kept in the folder `state`, each from the moment that its put is answered; queues,
        messages and everything else are gone with the emulator, and `apply` makes them anew. Without
        `state` nothing is kept. `port` is a loopback port; without one a free one is taken. Only `services` are served,
        to clients with the stack's `credentials`. Raises `LocalStackError` if it can't start.
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
                process = Guarded.start(
                    [sys.executable, "-I", "-m", "totesys_cli.local.emulated"],
                    env=_environment(port, scratch, state, token, services) | credentials.environment(),
                    stdout=output,
                    stderr=output,
                    grace=_STOP_SECONDS,
                    cwd=scratch,
                    remove=[scratch, kept],
                    keep_open=lock,
                )
                try:
                    _wait_until_ready(process, port, token, log)
                    return cls(process, port, scratch, credentials)
                except BaseException:
                    process.stop()
                    raise
        finally:
            for descriptor in lock:
                os.close(descriptor)

    @property
    def endpoint_url(self) -> str:
        """The address of every service."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the emulator's guard, which ends only after the emulator."""
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

    def apply(self, template: str, name: str = "totesys", schedule: str | None = None) -> DataPlane:
        """Make the data plane `name` from its CloudFormation template, or bring it up to date.

        `schedule` is how often the emulator wakes ingest, such as `rate(5 minutes)` (a minute at the
        least); None: never. Objects that are in the buckets stay. Raises `LocalStackError` if it fails.
        """
        return make_data_plane(
            self.cloudformation, self.s3, self.endpoint_url, self.credentials, template, name, schedule
        )

    def stop(self) -> None:
        """Stop the emulator. Raises `LocalStackError` if it does not end."""
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
    # The emulator would go on without it, and keep nothing.
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Of a release that made it for everybody, or below a folder that is there for more than this.
        folder.chmod(0o700)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise LocalStackError(
            f"{_NAME} can't keep its objects in {folder}: {error.strerror}; choose another folder."
        ) from error


def _environment(port: int, scratch: Path, state: Path | None, token: str, services: Sequence[str]) -> dict[str, str]:
    """All that the emulator sees: variables of the caller could point it at other state or at real AWS."""
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "SERVICES": ",".join(services),
        # What queue URLs begin with; as a name, it could mean IPv6, where nothing listens.
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        # The health page repeats it, which tells this emulator from another on the same port.
        "MINISTACK_EDITION": token,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # Where it can import `docker`, it removes containers of the machine's engine that it takes for its own.
        "DOCKER_HOST": f"unix://{scratch / 'no-engine'}",
        "LOG_LEVEL": "WARNING",
    }
    if state is not None:
        # Only what is written through at once. What the emulator saves when it shuts down is not there
        # after a kill, and there would be two ways to come back.
        variables |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(_objects(state))}
    return variables


def _wait_until_ready(process: Guarded, port: int, token: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(port, token):
        if process.poll() is not None:
            raise LocalStackError(
                f"{_NAME} ended with the code {process.returncode} while it started on port {port}.", log=log
            )
        if time.monotonic() > deadline:
            raise LocalStackError(f"{_NAME} was not ready after {_START_SECONDS:g} s; try again.", log=log)
        time.sleep(_POLL_SECONDS)


def _answers(port: int, token: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/_ministack/health")
        health = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(health, dict) and health.get("edition") == token

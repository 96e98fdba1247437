"""AWS on the bridge of the container engine: an emulator that runs ECS tasks as containers, and a Postgres."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from tests.compose.stack import PROJECT, run
from totesys_cli.local.emulator_access import REGION
from totesys_cli.local.supervised_process import SupervisedProcess
from totesys_infra.deploy.clients import AwsClients
from totesys_infra.deploy.polling import Polling

# What a deployment and its tasks call. Functions are not served: a container could run code as this user.
_SERVED = (
    "s3,sqs,events,scheduler,cloudformation,monitoring,logs,sts,iam,kms,"
    "ecr,ecs,ec2,codebuild,secretsmanager,ssm,sns,rds"
)
_POSTGRES = "postgres:17"


@dataclass(frozen=True)
class Bridge:
    """The emulator's address, and the server for source and warehouse, as hosts on the bridge."""

    endpoint: str
    postgres: str
    password: str
    _container: str

    def dsn(self, database: str) -> str:
        """A database of the server, for its owner."""
        return f"postgresql://postgres:{self.password}@{self.postgres}:5432/{database}"

    def create_database(self, name: str) -> str:
        """A new database, in the place of an earlier test's; its DSN."""
        run("docker", "exec", self._container, "dropdb", "--username", "postgres", "--force", "--if-exists", name)
        run("docker", "exec", self._container, "createdb", "--username", "postgres", name)
        return self.dsn(name)

    def clients(self) -> AwsClients:
        """AWS as a deployment sees it."""
        return AwsClients(REGION, boto3.Session("LOCAL", "local"))


@contextmanager
def bridge(folder: Path) -> Iterator[Bridge]:
    """Start both; afterwards neither they nor a container of a task is left."""
    network = json.loads(run("docker", "network", "inspect", "bridge"))[0]
    host = network["IPAM"]["Config"][0]["Gateway"]
    password = secrets.token_urlsafe(24)
    container = run(
        "docker", "run", "--detach", "--rm", "--env", f"POSTGRES_PASSWORD={password}",
        _POSTGRES, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200",
    ).strip()  # fmt: skip
    try:
        (found,) = json.loads(run("docker", "inspect", container))
        address = found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        with _emulator(folder, host, address, password) as endpoint:
            _wait_for_postgres(container)
            yield Bridge(endpoint, address, password, container)
    finally:
        run("docker", "rm", "--force", "--volumes", container)


@contextmanager
def _emulator(folder: Path, host: str, postgres: str, password: str) -> Iterator[str]:
    port = _free_port(host)
    edition = secrets.token_hex(8)
    variables = {
        **{key: os.environ[key] for key in ("PATH", "DOCKER_HOST") if key in os.environ},
        "HOME": str(folder),
        "BIND_HOST": host,
        "MINISTACK_HOST": host,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_EDITION": edition,
        "SERVICES": _SERVED,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_NETWORK": "bridge",
        # Longer than any container takes to stop.
        "MINISTACK_DOCKER_TIMEOUT": "120",
        "LOG_LEVEL": "WARNING",
        "POSTGRES_HOST": postgres,
        "POSTGRES_PASSWORD": password,
    }
    log = folder / "emulator.log"
    with log.open("wb") as output, log.open("rb") as written:
        process = SupervisedProcess.start(
            [sys.executable, "-m", "tests.deployment.emulator_process"],
            env=variables, stdout=output, stderr=output, grace=60, cwd=PROJECT,
        )  # fmt: skip
        try:
            process.wait_until_ready(lambda: _responds(host, port, edition), "The emulator", written)
            yield f"http://{host}:{port}"
        finally:
            process.stop()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def _responds(host: str, port: int, edition: str) -> bool:
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=1)) as connection:
            connection.request("GET", "/_ministack/health")
            return bool(json.loads(connection.getresponse().read()).get("edition") == edition)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _wait_for_postgres(container: str) -> None:
    # The image starts a server without network first.
    call = ["docker", "exec", container, "pg_isready", "--quiet", "--host", "127.0.0.1", "--username", "postgres"]
    ready = Polling(60, interval=0.2).until(lambda: subprocess.run(call, check=False).returncode == 0 or None)
    assert ready, f"{_POSTGRES} does not start"

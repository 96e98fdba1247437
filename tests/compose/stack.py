"""The composed system as its user has it: `docker compose`, and what the engine says of the containers."""

import fcntl
import json
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.models.containers import Container
from testcontainers.compose import DockerCompose

PROJECT = Path(__file__).parents[2]
SERVICES = ("ingest", "transform", "load")
DATABASES = {"source": "totesys", "warehouse": "warehouse"}
PORTS = {"source": 5432, "warehouse": 5432, "aws": 4566, **dict.fromkeys(SERVICES, 8080)}
TOKEN = "a token of the tests"
# Ports that are free, so that a stack of the same machine's user goes on.
_FREE_PORTS = {f"TOTESYS_{service.upper()}_PORT{'S' if service in SERVICES else ''}": "0" for service in PORTS}


class Stack:
    """A project of docker compose with its own containers, network and volumes: entered, it is up; left, it is gone.

    `settings` are those of `.env`; `files` are compose files whose settings come before those of the project's own.
    """

    def __init__(self, name: str, folder: Path, *files: Path, **settings: str) -> None:
        self.name = name
        settings = {
            "COMPOSE_PROJECT_NAME": name,
            "TOTESYS_TRIGGER_TOKEN": TOKEN,
            # The same for every stack, so that what is built once is built.
            "TOTESYS_VERSION": "test",
            "TOTESYS_REVISION": "a-revision",
            **_FREE_PORTS,
            **settings,
        }
        variables = folder / f"{name}.env"
        variables.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        paths = [str(file) for file in (PROJECT / "docker-compose.yml", *files)]
        self.compose = DockerCompose(PROJECT, paths, env_file=str(variables), wait=True)

    def build(self, lock: Path) -> None:
        """Build the images. Whoever holds the same lock has built them: they are found built."""
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self("build")

    def __enter__(self) -> Self:
        self.compose.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.compose.__exit__(kind, error, trace)
        self.engine.close()

    def __call__(self, *arguments: str) -> str:
        """What `docker compose` prints. Raises CalledProcessError after showing what went wrong."""
        return run(*self.compose.docker_compose_command(), *arguments)

    # To ask the engine itself takes a hundredth of the time that its command takes.
    @cached_property
    def engine(self) -> docker.DockerClient:
        return docker.from_env()

    @property
    def labels(self) -> dict[str, list[str]]:
        """Chooses what the engine has of this stack."""
        return {"label": [f"com.docker.compose.project={self.name}"]}

    def containers(self, service: str) -> list[Container]:
        """The containers of a service, running or not, as they are now."""
        labels = [*self.labels["label"], f"com.docker.compose.service={service}"]
        found: list[Container] = self.engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return found

    def container(self, service: str) -> Container:
        """A service's only container, as it is now."""
        (container,) = self.containers(service)
        return container

    def execute(self, service: str, *command: str) -> str:
        """What a command prints in a service's only container."""
        code, (out, error) = self.container(service).exec_run(list(command), demux=True)
        assert code == 0, error
        return bytes(out or b"").decode()

    def address(self, service: str) -> str:
        """Where a service's first container listens on this machine: `host:port`."""
        ports = self.containers(service)[0].attrs["NetworkSettings"]["Ports"]
        first = ports[f"{PORTS[service]}/tcp"][0]
        return f"{first['HostIp']}:{first['HostPort']}"

    def dsn(self, database: str) -> str:
        """The source or the warehouse, for its owner."""
        return f"postgresql://postgres:postgres@{self.address(database)}/{DATABASES[database]}"

    def logs(self, service: str, since: float | None = None) -> list[str]:
        """The log lines of all containers of a service; those that came after a time, in seconds as `time()` has it."""
        return [
            line
            for container in self.containers(service)
            for line in container.logs(stderr=False, since=since).decode().splitlines()
        ]

    def events(self, service: str, name: str, since: float | None = None) -> list[Mapping[str, Any]]:
        """The log lines of a service that have this name, oldest first."""
        found = [json.loads(line) for line in self.logs(service, since) if f'"{name}"' in line]
        return [line for line in found if line["event"] == name]


def run(*call: str) -> str:
    """What a call prints, which has to succeed."""
    done = subprocess.run(call, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(call)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    done.check_returncode()
    return done.stdout

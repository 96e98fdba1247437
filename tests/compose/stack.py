"""The composed system as its user has it: `docker compose` and what the containers say."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from testcontainers.compose import DockerCompose

PROJECT = Path(__file__).parents[2]
SERVICES = ("ingest", "transform", "load")
DATABASES = {"source": "totesys", "warehouse": "warehouse"}
PORTS = {"source": 5432, "warehouse": 5432, **dict.fromkeys(SERVICES, 8080)}
TOKEN = "a token of the tests"
PASSWORD = "a%/password:@of the tests"
# Ports that are free, so that a stack of the same machine's user goes on.
_FREE_PORTS = {f"TOTESYS_{service.upper()}_PORT{'S' if service in SERVICES else ''}": "0" for service in PORTS}


class Stack:
    """A project of docker compose with its own containers, network and volumes.

    `compose` is testcontainers' view of it: entered, it is up; left, it is gone.
    """

    def __init__(self, name: str, folder: Path, **settings: str) -> None:
        self.name = name
        settings = {
            "COMPOSE_PROJECT_NAME": name,
            "TOTESYS_TRIGGER_TOKEN": TOKEN,
            "POSTGRES_PASSWORD": PASSWORD,
            # The same for every stack, so that what is built once is built.
            "TOTESYS_VERSION": "test",
            "TOTESYS_REVISION": "a-revision",
            **_FREE_PORTS,
            **settings,
        }
        self._settings = folder / f"{name}.env"
        self._settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    @cached_property
    def compose(self) -> DockerCompose:
        return DockerCompose(PROJECT, env_file=str(self._settings), build=True, wait=True)

    def __call__(self, *arguments: str) -> str:
        """What `docker compose` prints. Raises CalledProcessError after showing what went wrong."""
        return run(*self.compose.docker_compose_command(), *arguments)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, running or not."""
        return self("ps", "--all", "--quiet", service).split()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's only container."""
        (container,) = self.containers(service)
        (found,) = json.loads(run("docker", "inspect", container))
        assert isinstance(found, dict)
        return found

    def address(self, service: str) -> str:
        """Where a service's first container listens on this machine: `host:port`."""
        host, port = self.compose.get_service_host_and_port(service, PORTS[service])
        return f"{host}:{port}"

    def dsn(self, database: str) -> str:
        """The source or the warehouse, for its owner."""
        return f"postgresql://postgres:{quote(PASSWORD, safe='')}@{self.address(database)}/{DATABASES[database]}"

    def logs(self, service: str) -> list[str]:
        """The log lines of all containers of a service."""
        return [
            line for container in self.containers(service) for line in run("docker", "logs", container).splitlines()
        ]

    def events(self, service: str, name: str) -> list[Mapping[str, Any]]:
        """The log lines of a service that have this name, oldest first."""
        found = [json.loads(line) for line in self.logs(service) if f'"{name}"' in line]
        return [line for line in found if line["event"] == name]


def run(*call: str) -> str:
    """What a call prints, which has to succeed."""
    done = subprocess.run(call, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(call)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    done.check_returncode()
    return done.stdout


def why_no_engine() -> str | None:
    """Why there is no container engine to use; None if there is one."""
    if shutil.which("docker") is None:
        return "there is no `docker` command"
    for call in (["docker", "info", "--format", "{{.ServerVersion}}"], ["docker", "compose", "version"]):
        asked = subprocess.run(call, capture_output=True, text=True, check=False)
        if asked.returncode:
            return f"`{' '.join(call)}` says: {asked.stderr.strip() or asked.stdout.strip()}"
    return None

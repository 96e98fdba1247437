"""The emulator with what a deployment needs beyond it: `python -m tests.deployment.emulator_process`.

Without these additions it starts a task's image and ignores how the template confines and stops its container.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any

from docker.models import containers
from ministack import app
from ministack.services import ecs, rds, secretsmanager
from ministack.services.cloudformation import provisioners

Definition = dict[str, Any]
SECOND = 1_000_000_000


def confinement(container: Definition, task: Definition) -> dict[str, Any]:
    """What Fargate applies to a container, as arguments of `docker run`."""
    linux = container.get("linuxParameters", {})
    arguments = {
        "read_only": container.get("readonlyRootFilesystem", False),
        "cap_drop": linux.get("Capabilities", {}).get("Drop", []),
        "init": linux.get("InitProcessEnabled", False),
        "user": container.get("user"),
        "mem_limit": f"{container.get('memory', task['memory'])}m",
        "nano_cpus": int(int(container.get("cpu") or task["cpu"]) / 1024 * SECOND),
        "stop_timeout": container.get("stopTimeout"),
    }
    if check := container.get("healthCheck"):
        times = (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod"))
        seconds = {name: check[key] * SECOND for name, key in times}
        arguments["healthcheck"] = {"test": check["Command"], "retries": check["Retries"], **seconds}
    return arguments


def _confine(build: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def confined(container: Definition, task: Definition, *rest: Any) -> dict[str, Any]:
        arguments = build(container, task, *rest)
        variables = arguments["environment"]
        # The link-local address of a task's credentials does not exist here, and AWS's clients accept no other.
        del variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        variables |= {"AWS_ACCESS_KEY_ID": "LOCAL", "AWS_SECRET_ACCESS_KEY": "local"}
        return arguments | confinement(container, task)

    return confined


def _with_secrets(normalize: Callable[[list[Definition]], list[Definition]]) -> Callable[..., list[Definition]]:
    """Give a container's secrets the fields and the ARNs that the emulator's ECS expects."""

    def normalized(definitions: list[Definition]) -> list[Definition]:
        found = normalize(definitions)
        for container in found:
            container["secrets"] = [
                {"name": one["Name"], "valueFrom": _arn(one["ValueFrom"])} for one in container.get("secrets", [])
            ]
        return found

    return normalized


def _arn(secret: str) -> str:
    """The ARN of a secret; the emulator's references to one in the same template give its name."""
    known = secretsmanager._secrets.get(secret)
    return known["ARN"] if known else secret


def _with_server(create: Callable[..., tuple[str, dict[str, Any]]], host: str, password: str) -> Callable[..., Any]:
    """Give an RDS instance the address of a running server, and the secret that RDS would generate."""

    def created(logical_id: str, properties: Definition, stack: str) -> tuple[str, dict[str, Any]]:
        name, attributes = create(logical_id, properties, stack)
        rds._instances[name]["Endpoint"]["Address"] = host
        attributes |= {"Endpoint.Address": host}
        if not properties.get("ManageMasterUserPassword"):
            return name, attributes
        secret = {"username": "postgres", "password": password}
        answer = secretsmanager._create_secret(
            {"Name": f"rds!db-{secrets.token_hex(8)}", "SecretString": json.dumps(secret)}
        )
        return name, attributes | {"MasterUserSecret.SecretArn": json.loads(answer[2])["ARN"]}

    return created


def main(host: str, password: str) -> None:
    """Serve until SIGTERM; `host` and `password` are those of the Postgres that stands for RDS."""
    # docker-py passes it to the engine, but not from `run`.
    containers.RUN_CREATE_KWARGS.append("stop_timeout")
    stop = containers.Container.stop
    containers.Container.stop = lambda self, **_: stop(self)
    ecs._build_run_kwargs = _confine(ecs._build_run_kwargs)
    # There is no registry: the engine has the images.
    ecs._prepare_service_images = lambda *_: None
    provisioners._normalize_container_defs = _with_secrets(provisioners._normalize_container_defs)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::RDS::DBInstance"]
    handlers["create"] = _with_server(handlers["create"], host, password)
    app.main()


if __name__ == "__main__":
    import os

    main(os.environ["POSTGRES_HOST"], os.environ["POSTGRES_PASSWORD"])

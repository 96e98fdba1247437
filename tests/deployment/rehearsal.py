"""An environment that is deployed on the bridge, from its templates to its tasks."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.compose.stack import run
from tests.deployment.bridge import Bridge
from tests.deployment.lacking import adapted
from tests.deployment.releases import Release, remove_images
from totesys_cli.local.emulator_access import REGION
from totesys_infra.deploy import docker
from totesys_infra.deploy.cloudformation import delete, template_text
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.order import synthesise
from totesys_infra.deploy.polling import Polling
from totesys_infra.deploy.template import StackTemplate, stack_template, values
from totesys_infra.deploy.up import up
from totesys_infra.environment import Environment
from totesys_infra.sizing import Preset

ACCOUNT = "000000000000"
# Containers start within seconds; machines may be busy.
POLLING = Polling(timeout=120, interval=0.5)
# Changes templates, which it gets by stack; the data plane's has the environment's name.
Planted = Callable[[dict[str, dict[str, Any]]], None]


class Rehearsal:
    """One environment: its databases, its secrets, and its deployment."""

    def __init__(self, bridge: Bridge, folder: Path, sizing: Preset, name: str, *, own_warehouse: bool) -> None:
        self._folder = folder
        self.source = bridge.create_database(f"{name}-source")
        self.warehouse = bridge.create_database("warehouse" if own_warehouse else f"{name}-warehouse")
        self.told: list[str] = []
        aws = bridge.clients()
        arns = {
            part: aws.secrets.create_secret(Name=f"{name}-{part}", SecretString=dsn)["ARN"]
            for part, dsn in (("source", self.source), ("warehouse", self.warehouse))
        }
        self.environment = Environment.model_validate(
            {
                "name": name,
                "account": ACCOUNT,
                "region": REGION,
                "alert_email": "data@example.com",
                "sizing": sizing,
                "images": "local",
                "source": {"secret": arns["source"]},
                "warehouse": {} if own_warehouse else {"secret": arns["warehouse"]},
                "schedules": {"tick": "rate(1 minute)"},
            }
        )
        self.deployment = Deployment(self.environment, aws, self._tell)

    def _tell(self, text: str) -> None:
        self.told.append(text)
        print(text, flush=True)

    @cached_property
    def _synthesised(self) -> list[StackTemplate]:
        return synthesise(self.environment, "any", self._folder / "cdk.out")

    def templates(self, release: Release) -> list[StackTemplate]:
        """The templates of a release, without what the emulator lacks."""
        known = values(self.environment, release.commit.revision)
        found = [stack_template(one.name, one.content, known) for one in self._synthesised]
        return [adapted(one) for one in found]

    def up(
        self,
        release: Release,
        polling: Polling = POLLING,
        planted: Planted = lambda _: None,
        *,
        accept_data_loss: bool = False,
    ) -> None:
        """Deploy a release; `planted` changes its templates, by stack."""
        templates = self.templates(release)
        planted({one.name.removeprefix(f"{self.environment.name}-"): one.content for one in templates})
        changed = [StackTemplate(one.name, json.dumps(one.content), one.parameters) for one in templates]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(docker, "build", release.build)
            up(self.deployment, changed, release.commit, accept_data_loss=accept_data_loss, polling=polling)

    def definitions(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """The deployed definitions of the containers, by name, each with that of its task."""
        text = template_text(self.deployment, self.deployment.names.stack("services"))
        resources = json.loads(text)["Resources"].values()
        tasks = [one["Properties"] for one in resources if one["Type"] == "AWS::ECS::TaskDefinition"]
        return {container["Name"]: (container, task) for task in tasks for container in task["ContainerDefinitions"]}

    @property
    def of_its_tasks(self) -> str:
        """What `docker` filters the containers of its tasks by."""
        cluster = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{self.deployment.names.cluster}"
        return f"label=com.amazonaws.ecs.cluster={cluster}"

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of the running containers of the tasks, by the container's name."""
        found = run("docker", "ps", "--quiet", "--filter", self.of_its_tasks).split()
        inspected = json.loads(run("docker", "inspect", *found)) if found else []
        return {one["Config"]["Labels"]["com.amazonaws.ecs.container-name"]: one for one in inspected}


@contextmanager
def rehearsal(
    bridge: Bridge, folder: Path, sizing: Preset, *, own_warehouse: bool, name: str | None = None
) -> Iterator[Rehearsal]:
    """An environment of which nothing is deployed; at the end none of its containers and images is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", bridge.endpoint)
        # Another run of the tests, on the same engine, has containers and images of its own.
        unique = f"{name or sizing}-{secrets.token_hex(2)}"
        made = Rehearsal(bridge, folder, sizing, unique, own_warehouse=own_warehouse)
        try:
            yield made
        finally:
            # Its services would replace containers that are only removed.
            delete(made.deployment, made.deployment.names.stack("services"))
            if left := run("docker", "ps", "--all", "--quiet", "--filter", made.of_its_tasks).split():
                run("docker", "rm", "--force", "--volumes", *left)
            remove_images(made.environment.name)
            made.deployment.aws.close()

"""Faults in the templates, each of which a deployment finds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.deployment.bridge import Bridge
from tests.deployment.confined import deployed_with
from tests.deployment.rehearsal import Planted, Rehearsal, rehearsal
from tests.deployment.releases import Release
from tests.sources import make_company
from totesys_infra.deploy.failures import SmokeFailed, StackFailed
from totesys_infra.deploy.polling import Polling

Templates = dict[str, dict[str, Any]]
RELEASE = Release("planted")
# Long enough for a deployment without a fault.
POLLING = Polling(timeout=40, interval=0.5)


def properties(template: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """The properties of a template's resources of a type."""
    return (one["Properties"] for one in template["Resources"].values() if one["Type"] == f"AWS::{kind}")


def event_for_another_key(templates: Templates) -> None:
    (data_plane,) = (one for name, one in templates.items() if name.startswith("planted"))
    for bucket in properties(data_plane, "S3::Bucket"):
        for one in bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", []):
            one["Filter"]["S3Key"]["Rules"][0]["Value"] = "manifest.xml"


def export_without_a_name(templates: Templates) -> None:
    for output in templates["network"]["Outputs"].values():
        output.pop("Export", None)


def repository_of_another_name(templates: Templates) -> None:
    next(properties(templates["build"], "ECR::Repository"))["RepositoryName"] = "planted-other"


def database_without_a_password(templates: Templates) -> None:
    del next(properties(templates["warehouse"], "RDS::DBInstance"))["ManageMasterUserPassword"]


def container_without_a_secret(templates: Templates) -> None:
    for task in properties(templates["services"], "ECS::TaskDefinition"):
        for container in task["ContainerDefinitions"]:
            container["Secrets"] = [one for one in container["Secrets"] if one["Name"] != "TOTESYS_SOURCE_DSN"]


def container_that_can_write(templates: Templates) -> None:
    for task in properties(templates["services"], "ECS::TaskDefinition"):
        for container in task["ContainerDefinitions"]:
            container["ReadonlyRootFilesystem"] = False


def filter_of_another_log(templates: Templates) -> None:
    next(properties(templates["watching"], "Logs::MetricFilter"))["LogGroupName"] = "/planted/other"


FAULTS: dict[str, tuple[Planted, type[Exception], str]] = {
    "data-plane": (event_for_another_key, SmokeFailed, "did not (transform|load) run"),
    "network": (export_without_a_name, StackFailed, "Export .* not found"),
    "build": (repository_of_another_name, ClientError, "RepositoryNotFoundException"),
    "warehouse": (database_without_a_password, StackFailed, "MasterUserSecret"),
    "services": (container_without_a_secret, SmokeFailed, "ingest committed no run"),
    "confinement": (container_that_can_write, AssertionError, ""),
    "watching": (filter_of_another_log, StackFailed, "log group does not exist"),
}


@pytest.mark.long
@pytest.mark.parametrize("part", FAULTS)
async def test_a_deployment_finds_a_fault_in_each_stack(on_bridge: Bridge, tmp_path: Path, part: str) -> None:
    planted, error, words = FAULTS[part]
    with rehearsal(on_bridge, tmp_path, "lean", own_warehouse=True, name=f"planted-{part}") as place:
        await make_company(place.source)
        with pytest.raises(error, match=words or None):
            await deploy(place, planted)


async def deploy(place: Rehearsal, planted: Planted) -> None:
    place.up(RELEASE, POLLING, planted)
    await deployed_with(place, RELEASE)

"""The containers of a deployed release, as the template says."""

from typing import Any

from tests.compose.stack import SERVICES, run
from tests.compose.truth import eventually
from tests.deployment.rehearsal import Rehearsal
from tests.deployment.releases import Release

MIB = 2**20
# What a container can write to; nothing else there is writable.
WRITABLE = "id -u; for at in / /app /etc /tmp; do touch $at/x 2>/dev/null && echo $at; done; true"


async def deployed_with(place: Rehearsal, revision: Release) -> None:
    """Wait until the only containers are those of a release, healthy and confined as the template says."""

    async def healthy() -> bool:
        found = place.containers()
        return {*found} == {*SERVICES} and all(
            one["Config"]["Image"].endswith(f":{revision.commit.revision}")
            and one["State"]["Health"]["Status"] == "healthy"
            for one in found.values()
        )

    await eventually(healthy)
    definitions = place.definitions()
    for name, container in place.containers().items():
        assert_confined(container, *definitions[name])


def assert_confined(container: dict[str, Any], template: dict[str, Any], task: dict[str, Any]) -> None:
    host, config = container["HostConfig"], container["Config"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["Privileged"]
    assert host["Init"]
    assert host["Memory"] / MIB == int(template.get("Memory", task["Memory"]))
    assert host["NanoCpus"] / 1e9 == int(template.get("Cpu", task["Cpu"])) / 1024
    assert config["StopTimeout"] == template["StopTimeout"] > 10
    assert config["Healthcheck"]["Test"] == template["HealthCheck"]["Command"]
    assert config["User"] == "10001:10001"
    assert run("docker", "exec", container["Id"], "sh", "-c", WRITABLE).split() == ["10001", "/tmp"]

"""What the containers and their images are."""

import json

import pytest

from tests.compose.stack import PORTS, SERVICES, Stack, run
from totesys.version import VERSION

# What Fargate offers: vCPU, and MiB of memory.
FARGATE = {(0.25, 512), (0.25, 1024), (0.5, 1024)}
LABELS = ("title", "version", "revision")
PACKAGES = "/app/lib/python3.13/site-packages"


@pytest.mark.parametrize("service", SERVICES)
def test_every_log_line_is_a_json_object(stack: Stack, service: str) -> None:
    lines = stack.logs(service)
    assert lines
    for line in lines:
        assert json.loads(line)["service"] == service


@pytest.mark.parametrize("service", [*SERVICES, "aws"])
def test_a_container_has_no_rights_and_writes_nowhere_but_to_its_temporary_files(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    writable = "id -u; touch /tmp/x; for at in / /app /etc; do touch $at/x 2>/dev/null && echo $at; done; true"
    out, _, _ = stack.compose.exec_in_container(["sh", "-c", writable], service)
    assert out.split() == ["10001"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_limited_as_a_task_on_fargate_is(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert (host["NanoCpus"] / 1e9, host["Memory"] / 2**20) in FARGATE
    assert host["Init"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"


@pytest.mark.parametrize("service", PORTS)
def test_only_this_machine_reaches_a_port(stack: Stack, service: str) -> None:
    published = stack.inspect(service)["NetworkSettings"]["Ports"]
    assert {binding["HostIp"] for bindings in published.values() for binding in bindings or []} == {"127.0.0.1"}


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is_and_how_its_health_is_asked(stack: Stack, service: str) -> None:
    (image,) = json.loads(run("docker", "image", "inspect", f"totesys-{service}:test"))
    labels = {key: image["Config"]["Labels"][f"org.opencontainers.image.{key}"] for key in LABELS}
    assert labels == {"title": f"totesys-{service}", "version": "test", "revision": "a-revision"}
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "python", "-m", "totesys.service.probe"]
    assert image["Config"]["User"] == "10001:10001"


def test_the_command_in_a_container_knows_what_it_was_built_from(stack: Stack) -> None:
    out, _, _ = stack.compose.exec_in_container(["totesys", "--version"], "aws")
    assert out.strip() == f"totesys {VERSION} (a-revision)"


@pytest.mark.parametrize(
    ("service", "absent"),
    [
        ("ingest", {"polars", "pyarrow", "boto3", "typer", "pytest", "uv", "pip"}),
        ("transform", {"asyncpg", "boto3", "typer", "pytest", "uv", "pip"}),
        ("load", {"polars", "boto3", "typer", "pytest", "uv", "pip"}),
    ],
)
def test_an_image_holds_no_package_of_another_service_and_no_tool(stack: Stack, service: str, absent: set[str]) -> None:
    listed = f"import importlib.metadata as m; print(*(d.name for d in m.distributions(path=[{PACKAGES!r}])))"
    out, _, _ = stack.compose.exec_in_container(["python", "-c", listed], service)
    held = set(out.split())
    assert {"totesys", f"totesys-{service}"} <= held
    assert not held & absent
    assert not held & {f"totesys-{other}" for other in {*SERVICES, "cli", "infra"} - {service}}
    compilers, _, _ = stack.compose.exec_in_container(["sh", "-c", "command -v gcc cc clang make uv; true"], service)
    assert not compilers


@pytest.mark.parametrize("service", ["ingest", "load"])
def test_an_image_trusts_the_systems_authorities_and_those_of_rds(stack: Stack, service: str) -> None:
    count = (
        "import ssl; from totesys.tls import RDS_BUNDLE; system, rds = ssl.create_default_context(), "
        "ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); rds.load_verify_locations(RDS_BUNDLE); "
        "print(len(system.get_ca_certs()), len(rds.get_ca_certs()))"
    )
    out, _, _ = stack.compose.exec_in_container(["python", "-c", count], service)
    system, rds = map(int, out.split())
    assert system > 100
    assert rds > 80

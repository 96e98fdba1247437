"""A composed stack's secrets are its own, and its emulator is nobody's but its containers'."""

import json
from configparser import ConfigParser

import httpx
import pytest

from tests.compose.stack import DATABASES, SERVICES, TOKEN, Stack, run
from tests.exploits import FUNCTION, curl
from totesys_cli.local.emulator_access import Credentials

OWN = {
    "ingest": {"totesys_source_dsn", "totesys_trigger_token"},
    "transform": {"totesys_trigger_token"},
    "load": {"totesys_source_dsn", "totesys_warehouse_dsn", "totesys_trigger_token"},
}


def bridge_address(stack: Stack) -> str:
    """Where this machine reaches the emulator though it publishes no port."""
    (network,) = stack.inspect("aws")["NetworkSettings"]["Networks"].values()
    return f"http://{network['IPAddress']}:4566"


def stacks_own(stack: Stack) -> Credentials:
    file = ConfigParser()
    file.read_string(stack("exec", "-T", "load", "cat", "/secrets/aws/credentials"))
    return Credentials(file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])


def test_only_the_services_and_the_databases_publish_a_port(stack: Stack) -> None:
    assert not any(stack.inspect("aws")["NetworkSettings"]["Ports"].values())
    published = [line for line in stack("ps", "--format", "{{.Service}} {{.Ports}}").splitlines() if "->" in line]
    assert {line.split()[0] for line in published} == {*SERVICES, *DATABASES}


def test_a_neighbour_gets_nothing_from_the_emulator(stack: Stack) -> None:
    at, own = bridge_address(stack), stacks_own(stack)
    call = f"/2015-03-31/functions/{FUNCTION['FunctionName']}/invocations"
    for key in (None, Credentials("test", "test"), own):
        assert curl(at, "/2015-03-31/functions", json.dumps(FUNCTION), key, "lambda").status == 403
        assert curl(at, call, "{}", key, "lambda").status == 403
    for key in (None, Credentials("test", "test")):
        assert curl(at, "/totesys-ingest", None, key, "s3").status == 403
    assert curl(at, "/totesys-ingest", None, own, "s3").status == 200
    assert httpx.get(f"{at}/totesys-ingest", headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_the_secrets_that_it_needs_and_no_others(stack: Stack, service: str) -> None:
    listed = stack("exec", "-T", service, "find", "/secrets", "-type", "f", "-printf", "%P %m %u\n").splitlines()
    assert set(listed) == {f"own/{name} 600 totesys" for name in OWN[service]} | {"aws/credentials 600 totesys"}
    (container, *_) = stack.containers(service)
    (found,) = json.loads(run("docker", "inspect", container))
    told = "\n".join([*found["Config"]["Env"], *found["Config"]["Cmd"], *found["Args"]])
    assert TOKEN not in told
    assert "postgresql://" not in told


def test_what_nobody_sets_is_made_up_and_what_is_made_up_stays(stack: Stack) -> None:
    make = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "secrets", "-c")
    write = "env -u TOTESYS_TRIGGER_TOKEN totesys local secrets a >/dev/null"
    script = f"cd /tmp && {write} && cat a/ingest/totesys_trigger_token"
    first, second = stack(*make, script), stack(*make, script)
    assert first.strip() != second.strip()
    assert len(first.strip()) == 32
    again = (
        f"{script}; env -u TOTESYS_TRIGGER_TOKEN totesys local secrets a >/dev/null; cat a/load/totesys_trigger_token"
    )
    token, same = stack(*make, again).split()
    assert token == same

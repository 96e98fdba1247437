"""Where `totesys dlq` finds its queues, and the one line that it says where it does not."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command, Companies, Ended, eventually, line_with
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import LOOPBACK, free_port, port_in_use
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.local.supervised_process import SupervisedProcess

KEY = {"AWS_ACCESS_KEY_ID": "AKIA0000000000000000", "AWS_SECRET_ACCESS_KEY": "s3cret"}


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """AWS's settings, of which there are none."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def strict_endpoint(tmp_path: Path) -> Iterator[str]:
    """An emulator that asks who calls."""
    port = free_port()
    settings = {"AUTH": "true", "BIND_HOST": LOOPBACK, "GATEWAY_PORT": str(port), "SFTP_ENABLED": "0"}
    settings |= {"IOT_MTLS_ENABLED": "0", "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PATH": os.defpath}
    with (
        (tmp_path / "log").open("wb") as log,
        SupervisedProcess.start([sys.executable, "-I", "-m", "ministack"], env=settings, stdout=log, stderr=log),
    ):
        eventually(lambda: port_in_use(port))
        yield f"http://{LOOPBACK}:{port}"


def assert_refused(ended: Ended, *words: str) -> None:
    assert (ended.code, ended.out) == (2, ""), ended.words
    assert ended.err.startswith("totesys: ")
    assert ended.err.count("\n") == 1
    assert [word for word in words if word not in ended.err] == [], ended.err
    assert "s3cret" not in ended.err


def test_awss_own_settings_are_used_and_missed(
    totesys: Command, aws: pytest.MonkeyPatch, emulator: Emulator, data_plane: LocalDataPlane
) -> None:
    call = ("dlq", "list", "load", "--name", data_plane.ingest_bucket.removesuffix("-ingest"))
    assert_refused(totesys(*call), "region", "Set AWS_DEFAULT_REGION", "--endpoint")
    aws.setenv("AWS_DEFAULT_REGION", data_plane.region)
    aws.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
    assert_refused(totesys(*call), "credentials", "Set AWS_PROFILE", "--endpoint")
    aws.setenv("AWS_PROFILE", "nobody")
    assert_refused(totesys(*call), "nobody", "the AWS settings")
    aws.delenv("AWS_PROFILE")
    for name, value in data_plane.environment().items():
        aws.setenv(name, value)
    ended = totesys(*call)
    assert (ended.code, ended.words) == (0, "load: no dead letters.")


def test_an_endpoint_that_leads_nowhere_is_refused(totesys: Command, emulator: Emulator) -> None:
    nowhere = f"http://{LOOPBACK}:1"
    assert_refused(totesys("dlq", "list", "--endpoint", nowhere), nowhere, "Check --endpoint")
    assert_refused(totesys("dlq", "redrive", "--endpoint", "my stack"), "my stack", "Write http://HOST:PORT")
    ended = totesys("dlq", "purge", "--yes", "--endpoint", emulator.endpoint_url, "--name", "nothing")
    assert_refused(ended, "nothing-ingest-dlq does not exist", "Deploy", "correct the name")


def test_refused_access_is_said(totesys: Command, aws: pytest.MonkeyPatch, strict_endpoint: str) -> None:
    for name, value in {**KEY, "AWS_DEFAULT_REGION": "eu-west-2", "AWS_ENDPOINT_URL": strict_endpoint}.items():
        aws.setenv(name, value)
    assert_refused(totesys("dlq", "list"), "refuses access to totesys-ingest-dlq", "Grant the right")


@pytest.mark.parametrize("command", ["", "list", "show", "redrive", "purge"])
def test_help_says_what_a_command_does(command: str, totesys: Command) -> None:
    ended = totesys("dlq", *command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: totesys dlq {command}" in ended.words


async def test_the_address_that_run_prints_is_an_endpoint(postgres: ReachablePostgres, totesys: Command) -> None:
    company = await (await Companies.of(postgres, scale=0.01)).make()
    with totesys.started("run", *company.arguments, "--every", "1h") as process:
        address = line_with(process, "  lake  ").split()[1]
        ended = totesys("dlq", "list", "--endpoint", address)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert (ended.code, ended.words) == (0, "ingest, transform, load: no dead letters.")

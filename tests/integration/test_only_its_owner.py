"""What a local stack keeps is its owner's alone: folders, logs, passwords; whatever the umask, and nothing in `ps`."""

import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.command import Command, Companies, line_with
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_postgres import PostgresServer
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """As the most careless of users has it."""
    before = os.umask(0)
    yield
    os.umask(before)


def for_others(path: Path) -> int:
    """What the group and everybody else may do with it."""
    return stat.S_IMODE(path.stat().st_mode) & 0o077


def command_lines() -> str:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(entry.read_text(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


async def test_a_servers_folder_log_and_passwords_are_its_owners(folder: Path) -> None:
    home = folder / "postgres"
    with PostgresServer.start(home, durable=False) as server:
        passfile = server.passfile()
        password = (home / "password").read_text()
        for path in (home, home / "data", home / "server.log", home / "password", home / "lock", passfile):
            assert for_others(path) == 0, path
        assert password not in command_lines()
        assert passfile.read_text() == f"127.0.0.1:{server.port}:*:postgres:{password}\n"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn(password="guessed"))
        rules = (home / "data" / "pg_hba.conf").read_text()
        assert set(re.findall(r"^(?!#)\S.*\s(\S+)$", rules, re.MULTILINE)) == {"scram-sha-256"}
        settings = (home / "data" / "postmaster.pid").read_text().splitlines()
        assert settings[4] == "", "no socket, so no way round the password"


def test_a_lakes_folder_and_all_below_it_are_its_owners(tmp_path: Path) -> None:
    state = tmp_path / "new"
    with Emulator.start(state) as emulator:
        plane = emulator.apply(data_plane_template())
        emulator.s3.put_object(Bucket=plane.ingest_bucket, Key="a/row", Body=b"secret")
        assert for_others(emulator.scratch) == 0
        found = [state, *state.rglob("*")]
        assert any(path.is_file() and path.read_bytes() == b"secret" for path in found)
        assert [path for path in found if for_others(path)] == []


def test_a_lake_in_a_folder_that_others_can_read_is_not_theirs(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Emulator.start(tmp_path):
        pass
    (tmp_path / "s3").chmod(0o755)
    with Emulator.start(tmp_path):
        assert for_others(tmp_path / "s3") == 0


async def test_what_run_keeps_and_logs_is_its_owners(postgres: ReachablePostgres, tmp_path: Path) -> None:
    company = await (await Companies.of(postgres, scale=0.01)).make()
    log, state = tmp_path / "log", tmp_path / "state"
    log.touch(0o666)
    with Command.that_leaves_nothing(tmp_path) as totesys:
        ended = totesys("run", *company.arguments, "--once", "--state", str(state), "--log", str(log))
    assert ended.code == 0, ended.words
    assert log.read_text()
    assert [path for path in (log, state, state / "s3") if for_others(path)] == []


def test_the_demo_shows_no_password_neither_to_the_screen_nor_to_ps(tmp_path: Path) -> None:
    with Command.that_leaves_nothing(tmp_path) as totesys, totesys.started("demo", "--json") as process:
        told = json.loads(line_with(process, '"look_inside"'))
        passfile = Path(told["passfile"])
        password = passfile.read_text().strip().rpartition(":")[2]
        assert for_others(passfile) == 0
        assert urlsplit(told["source"]).password is None
        assert password not in json.dumps(told) + command_lines()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert password not in out + err
    assert not passfile.exists()

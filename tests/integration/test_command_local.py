"""`totesys local`: what it makes is there, whole, and stays when it is called again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Command, as_role, rows
from totesys.dsn.syntax import parse
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.ports import LOOPBACK, free_port

NAME = "test-local"
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


@pytest.fixture
def databases(database: Callable[[], str], totesys: Command) -> tuple[str, str]:
    """The source and the warehouse, for their owner; the command knows them and the roles' passwords."""
    source, warehouse = database(), database()
    totesys.settings |= {
        "TOTESYS_SOURCE_DSN": source,
        # As keywords: psql's other way to write a DSN.
        "TOTESYS_WAREHOUSE_DSN": " ".join(f"{name} = '{value}'" for name, value in parse(warehouse).items()),
        "TOTESYS_READER_PASSWORD": "read %/@",
        "TOTESYS_LOADER_PASSWORD": "load '",
        "TOTESYS_SCALE": "0.01",
    }
    return source, warehouse


async def test_the_databases_are_made_once_and_the_roles_may_do_their_part(
    totesys: Command, databases: tuple[str, str]
) -> None:
    source, warehouse = databases
    made = totesys("local", "databases")
    assert made.code == 0, made.err
    assert "rows in 11 tables (seed 1)" in made.words
    await rows(source, "DELETE FROM payment WHERE payment_id = 1")
    left = await rows(source, "SELECT * FROM payment")
    again = totesys("local", "databases")
    assert "They are unchanged" in again.words
    assert await rows(source, "SELECT * FROM payment") == left
    reader, loader = as_role(source, "etl_reader", "read %/@"), as_role(warehouse, "etl_loader", "load '")
    synced = totesys("run", "--once", "--source", reader, "--warehouse", loader)
    assert synced.code == 0, synced.err
    assert totesys("verify", "--source", reader, "--warehouse", loader).code == 0


@pytest.mark.parametrize("role", ["reader", "loader"])
async def test_the_password_of_a_role_that_is_there_stays_unless_it_is_to_be_reset(
    totesys: Command, databases: tuple[str, str], role: str
) -> None:
    source, warehouse = databases
    assert totesys("local", "databases").code == 0
    variable = f"TOTESYS_{role.upper()}_PASSWORD"
    before = totesys.settings[variable]
    totesys.settings[variable] = "new"
    refused = totesys("local", "databases")
    assert refused.code == 2
    assert f"has a role etl_{role} with another password" in refused.words
    assert "--reset-passwords" in refused.words
    at = source if role == "reader" else warehouse
    assert await rows(as_role(at, f"etl_{role}", before), "SELECT 1")
    assert totesys("local", "databases", "--reset-passwords").code == 0
    assert await rows(as_role(at, f"etl_{role}", "new"), "SELECT 1")
    totesys.settings[variable] = before
    assert totesys("local", "databases", "--reset-passwords").code == 0


async def test_a_call_that_is_killed_while_it_fills_the_source_leaves_nothing_of_it(
    totesys: Command, databases: tuple[str, str]
) -> None:
    source, _ = databases
    totesys.settings["TOTESYS_SCALE"] = "50"
    with totesys.started("local", "databases") as process:
        assert process.stderr is not None
        assert "rows" in process.stderr.readline()
    assert (await rows(source, TABLES))[0][0] == 0
    totesys.settings["TOTESYS_SCALE"] = "0.01"
    assert "rows in 11 tables" in totesys("local", "databases").words


def test_the_data_plane_is_made_and_brought_up_to_date(totesys: Command, emulator: Emulator) -> None:
    call = ("local", "data-plane", "--endpoint", emulator.endpoint_url, "--name", NAME, "--every")
    made = totesys(*call, "5m")
    assert made.code == 0, made.err
    assert f"buckets {NAME}-ingest, {NAME}-processed and {NAME}-code, six queues, a rate(5 minutes) tick" in made.words
    emulator.s3.put_object(Bucket=f"{NAME}-ingest", Key="kept", Body=b"1")
    assert "rate(1 minute)" in totesys(*call, "1m").words
    assert emulator.s3.get_object(Bucket=f"{NAME}-ingest", Key="kept")["Body"].read() == b"1"


def test_a_call_that_cannot_work_says_why(totesys: Command, emulator: Emulator) -> None:
    nobody = f"http://{LOOPBACK}:{free_port()}"
    for endpoint, every, words in (
        (emulator.endpoint_url, "30s", "whole minutes only"),
        (nobody, "1m", "cannot create"),
    ):
        ended = totesys("local", "data-plane", "--endpoint", endpoint, "--every", every)
        assert (ended.code, ended.out) == (2, "")
        assert words in ended.err
        assert ended.err.startswith("totesys: ")
        assert ended.err.count("\n") == 1

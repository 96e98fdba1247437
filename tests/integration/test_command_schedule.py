"""`totesys run` on a schedule: changes arrive while it runs, and however it ends, nothing of it stays behind."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command, Companies, Company, eventually, line_with, rows
from totesys.connection import connect
from totesys_cli.local.reachable import ReachablePostgres
from totesys_ingest.source_connection import LOCK

CHANGE = "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 1"
# What the line of a run that is in the warehouse says.
LOADED = "after its snapshot"
# Emulator and three services, each under a guard, and the command itself.
ALL_PROCESSES = 9


@pytest.fixture(scope="module")
async def companies(postgres: ReachablePostgres) -> Companies:
    return await Companies.of(postgres, scale=0.01)


@pytest.fixture
async def company(companies: Companies) -> Company:
    return await companies.make()


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


async def test_changes_arrive_while_it_runs_until_it_is_told_to_end(company: Company, totesys: Command) -> None:
    with totesys.started("run", *company.arguments, "--every", "2s") as process:
        line_with(process, "Ctrl-C stops it")
        line_with(process, LOADED)
        for _ in range(2):
            await rows(company.source_owner, CHANGE)
            line_with(process, LOADED)
        assert len(totesys.processes()) == ALL_PROCESSES
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert not totesys.processes()
    ended = totesys("verify", *company.arguments)
    assert ended.code == 0, ended.words


@pytest.mark.parametrize("processes", [3, ALL_PROCESSES], ids=["as it begins", "as the services start"])
def test_ctrl_c_ends_it_even_while_it_starts(processes: int, company: Company, totesys: Command) -> None:
    with totesys.started("run", *company.arguments, "--once") as process:
        eventually(lambda: len(totesys.processes()) >= processes)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate()
    assert (process.returncode, out, errors) == (130, "", "")


def test_when_it_is_killed_its_servers_end_and_the_next_call_goes_on(
    company: Company, totesys: Command, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    arguments = ("run", *company.arguments, "--state", str(state))
    with totesys.started(*arguments, "--once"):
        eventually(lambda: list(state.glob("s3/*/totesys-ingest/*/*/run=00000001/*.csv")))
    totesys.wait_until_gone()
    with totesys.started(*arguments, "--every", "1h") as process:
        line_with(process, LOADED)
    totesys.wait_until_gone()
    ended = totesys("verify", *company.arguments)
    assert ended.code == 0, ended.words


async def test_a_call_waits_for_another_extraction_of_the_same_source(company: Company, totesys: Command) -> None:
    async with connect("The source", company.source) as other:
        await other.execute("SELECT pg_advisory_lock($1)", LOCK)
        with totesys.started("run", *company.arguments, "--once") as process:
            assert process.stderr is not None
            assert "Another extraction" in process.stderr.readline()
            await other.execute("SELECT pg_advisory_unlock($1)", LOCK)
            out, _ = process.communicate()
    assert process.returncode == 0
    assert "Run 1" in out

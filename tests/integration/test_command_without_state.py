"""Without a folder for its state, a call begins anew and doubles nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command, Companies, rows
from tests.expected import ROWS
from totesys_cli.local.reachable import ReachablePostgres


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


async def test_a_trigger_token_in_the_environment_guards_the_services_and_not_the_command(
    postgres: ReachablePostgres, totesys: Command
) -> None:
    company = await (await Companies.of(postgres, scale=0.01)).make()
    totesys.settings = {"TOTESYS_TRIGGER_TOKEN": "tök/en+="}
    ended = totesys("run", *company.arguments, "--once")
    assert (ended.code, "Run 1" in ended.out) == (0, True), ended.words


async def test_without_state_all_is_extracted_again_and_nothing_doubled(
    postgres: ReachablePostgres, totesys: Command
) -> None:
    company = await (await Companies.of(postgres)).make()
    first, second = (totesys("run", *company.arguments, "--once", "--json") for _ in range(2))
    assert first.code == second.code == 0, first.err + second.err
    (loaded,), (again,) = json.loads(first.out), json.loads(second.out)
    for run in (loaded, again):
        assert run["run"] == 1
        assert {name: table["rows"] for name, table in run["loaded"].items()}.items() >= ROWS.items()
        assert all(run["stages"][stage]["seconds"] > 0 for stage in ("ingest", "transform", "load"))
        assert 0 < run["freshness"] < 1800
    assert {name: table["written"] for name, table in loaded["loaded"].items()}.items() >= ROWS.items()
    assert {table["written"] for table in again["loaded"].values()} == {0}
    counts = {table: (await rows(company.warehouse, f"SELECT count(*) FROM warehouse.{table}"))[0][0] for table in ROWS}
    assert counts == ROWS

"""`totesys quarantine` and `GET /quarantine`: which rows are no warehouse rows, why, and what they hold."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.command import Command, Ended
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, running
from tests.sources import execute, make_library
from totesys.triggers import RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

NAME = "test-quarantine"
# What a terminal would obey, what rich would take for markup, and what only looks like the end of a value.
HOSTILE = "[red]Eve[/red] [/] \x1b]0;x\x07 \"\n\u202e'"
NO_DATE, NO_BOOK = 'lent_at is not a valid timestamp: "infinity"', "book_id is not in dim_book"


@pytest.fixture(scope="module")
def plane(emulator: Emulator) -> LocalDataPlane:
    return emulator.apply(data_plane_template(), NAME)


@pytest.fixture(scope="module", autouse=True)
async def pipeline(postgres: ReachablePostgres, plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A run has a loan without a date, the next one a loan of a book that is not there."""
    source = await make_library(postgres.create_database("quarantine_source"))
    spoil = "UPDATE loan SET lent_at = 'infinity', reader = E'{}' WHERE loan_id = {}"
    quoted = HOSTILE.replace("'", "''")
    async with Pipeline(MODEL, plane, source, postgres.create_database("quarantine_warehouse")) as opened:
        await execute(source, spoil.format(quoted, 1))
        await opened.tick()
        await execute(source, "ALTER TABLE loan DROP CONSTRAINT loan_book_id_fkey")
        await execute(source, "INSERT INTO loan VALUES (3, 99, 'Kim', '2026-01-07', 1, NULL)")
        await opened.tick()
        yield opened
    for name in ("quarantine_source", "quarantine_warehouse"):
        postgres.drop_database(name)


class Quarantine:
    """The command, for this lake."""

    def __init__(self, totesys: Command, endpoint: str) -> None:
        self._totesys = totesys
        self._totesys.settings = LIBRARY
        self._place = ("--name", NAME, "--endpoint", endpoint)

    def __call__(self, command: str, *arguments: str) -> Ended:
        return self._totesys("quarantine", command, *self._place, *arguments)

    def rows(self, command: str, *arguments: str) -> list[dict[str, Any]]:
        ended = self(command, *arguments, "--json")
        assert ended.code == 0, ended.err
        found: list[dict[str, Any]] = json.loads(ended.out)
        return found


@pytest.fixture
def quarantine(tmp_path: Path, plane: LocalDataPlane) -> Quarantine:
    return Quarantine(Command(tmp_path), plane.endpoint_url)


def test_rows_are_counted_by_run_table_and_reason(quarantine: Quarantine) -> None:
    keys = [f"quarantine/lending/fact_loan/run=0000000{run}/part-00000.parquet" for run in (1, 2)]
    assert quarantine.rows("list") == [
        {"run": 2, "table": "fact_loan", "reasons": [NO_BOOK], "rows": 1, "objects": [keys[1]], "others": 0},
        {"run": 1, "table": "fact_loan", "reasons": [NO_DATE], "rows": 1, "objects": [keys[0]], "others": 0},
    ]
    assert [reason["run"] for reason in quarantine.rows("list", "--table", "fact_loan", "--run", "1")] == [1]
    assert quarantine.rows("list", "--table", "dim_book") == []
    said = quarantine("list").words
    assert f"1 fact_loan 1 1 {NO_DATE}" in said
    assert f"2 fact_loan 1 1 {NO_BOOK}" in said


def test_a_row_is_shown_whole_and_its_text_does_nothing_to_a_terminal(quarantine: Quarantine) -> None:
    (row,) = quarantine.rows("show", "fact_loan", "--key", "1")
    assert (row["run"], row["table"], row["reasons"]) == (1, "fact_loan", [NO_DATE])
    assert row["values"] == {
        "loan_id": "1", "book_id": "1", "reader": HOSTILE, "lent_at": "infinity", "fee": "0.50", "returned": "t",
    }  # fmt: skip
    shown = quarantine("show", "fact_loan", "--key", "1")
    assert "[red]Eve[/red] [/] \\u001b]0;x\\u0007 \\\"\\n�'" in shown.out
    assert "NULL" in quarantine("show", "fact_loan", "--run", "2").out
    assert not {letter for letter in shown.out if not letter.isprintable()} - {"\n"}


def test_no_more_than_the_limit_is_shown_and_that_there_are_more_is_said(quarantine: Quarantine) -> None:
    ended = quarantine("show", "fact_loan", "--limit", "1", "--json")
    assert [row["run"] for row in json.loads(ended.out)] == [2]
    assert "--limit 1 is reached" in ended.err
    assert [row["run"] for row in quarantine.rows("show", "fact_loan", "--limit", "2")] == [2, 1]


def test_a_table_or_a_lake_that_is_not_there_is_a_wrong_call(quarantine: Quarantine) -> None:
    ended = quarantine("show", "fact_lend")
    assert (ended.code, ended.out) == (2, "")
    assert "'fact_lend' is not a warehouse table. Name one of fact_loan, dim_book." in ended.words
    nowhere = quarantine("list", "--name", "nothing")
    assert (nowhere.code, "s3://nothing-ingest" in nowhere.err) == (2, True), nowhere.err
    assert nowhere.err.count("\n") == 1


async def test_every_service_says_how_many_rows_are_in_quarantine(plane: LocalDataPlane) -> None:
    async with (
        running("transform", environment("transform", plane) | LIBRARY) as service,
        httpx.AsyncClient(base_url=service.url) as client,
    ):
        counts = [{"run": run, "table": "fact_loan", "rows": 1} for run in (2, 1)]
        assert (await client.get("/quarantine")).json() == counts
        assert (await client.get("/quarantine", params={"limit": 1})).json() == counts[:1]
        assert (await client.get("/quarantine", params={"before": 2})).json() == counts[1:]
        assert (await client.get("/quarantine", params={"limit": 0})).status_code == 422
        runs = (await client.get("/runs")).json()
    stages = ("ingest", "transform", "load")
    assert [[run["stages"][stage]["quarantined"] for stage in stages] for run in runs] == [[0, 0, 1], [0, 1, 0]]


async def test_objects_superseded_by_a_replay_are_no_longer_in_quarantine(
    pipeline: Pipeline, quarantine: Quarantine
) -> None:
    await execute(pipeline.source_dsn, "INSERT INTO book VALUES (99, 'Emma', NULL, 'NOVEL')")
    await pipeline.tick()
    await pipeline.catch_up(RunsTrigger(run=2))
    assert [key async for key in pipeline.lake.processed.keys("quarantine/lending/fact_loan/run=00000002/")]
    assert [row["run"] for row in quarantine.rows("show", "fact_loan")] == [1]

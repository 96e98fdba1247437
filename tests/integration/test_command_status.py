"""`totesys status`, `runs` and `trigger`: the whole pipeline is seen and steered from the lake and its queues alone."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.command import Command, Ended, line_with
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, running
from tests.sources import execute, make_library
from totesys.triggers import RECONCILE, ExtractTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

NAME = "test-status"


@dataclass(frozen=True)
class Stand:
    """A pipeline in this process, and the command for its lake."""

    pipeline: Pipeline
    totesys: Command
    emulator: Emulator
    plane: LocalDataPlane

    def __call__(self, *arguments: str) -> Ended:
        return self.totesys(*arguments, *self.place)

    @property
    def place(self) -> tuple[str, ...]:
        return ("--name", NAME, "--endpoint", self.plane.endpoint_url)

    def json(self, *arguments: str) -> Any:
        ended = self(*arguments, "--json")
        assert ended.code == 0, ended.words
        return json.loads(ended.out)


@pytest.fixture(scope="module")
def plane(emulator: Emulator) -> LocalDataPlane:
    return emulator.apply(data_plane_template(), NAME)


@pytest.fixture(scope="module")
async def stand(
    postgres: ReachablePostgres, emulator: Emulator, plane: LocalDataPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    source = await make_library(postgres.create_database("status_source"))
    async with Pipeline(MODEL, plane, source, postgres.create_database("status_warehouse")) as pipeline:
        yield Stand(pipeline, Command(tmp_path_factory.mktemp("status")), emulator, plane)
    for name in ("status_source", "status_warehouse"):
        postgres.drop_database(name)


async def test_the_status_of_a_lake_without_a_run_says_so(stand: Stand) -> None:
    assert "Nothing is in the warehouse yet." in stand("status").out
    ended = stand("runs", "1")
    assert (ended.code, "no run 1; the last run number is 0" in ended.err) == (2, True)


async def test_the_status_shows_freshness_what_waits_and_what_failed(stand: Stand) -> None:
    pipeline, source = stand.pipeline, stand.pipeline.source_dsn
    await pipeline.tick()
    await pipeline.tick()
    before = datetime.now(UTC)
    status = stand.json("status")
    manifest = await pipeline.lake.manifest(2)
    assert manifest is not None
    # The second run is empty: nothing has changed, so the warehouse is as fresh as its snapshot.
    assert (status["run"], status["as_of"]) == (2, manifest.model_dump(mode="json")["snapshot_time"])
    assert (before - manifest.snapshot_time).total_seconds() <= status["fresh"]
    assert [(one["stage"], one["run"], one["waiting"]) for one in status["stages"]] == [
        ("ingest", 2, 0),
        ("transform", 1, 0),
        ("load", 1, 0),
    ]
    await execute(source, "UPDATE loan SET fee = 7", "UPDATE loan SET lent_at = 'infinity' WHERE loan_id = 2")
    await pipeline.ingest.work(ExtractTrigger())
    await pipeline.transform.work(RECONCILE)
    await execute(source, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
    await pipeline.ingest.work(ExtractTrigger())
    stand.emulator.sqs.send_message(QueueUrl=stand.plane.load_dlq_url, MessageBody="[red]")
    status = stand.json("status")
    assert status["run"] == 2
    assert [(one["run"], one["waiting"]) for one in status["stages"]] == [(4, 0), (3, 1), (1, 1)]
    assert [one["dead_letters"] for one in status["queues"]] == [0, 0, 1]
    assert status["quarantine"] == {"runs": 1, "tables": ["fact_loan"]}
    assert status["verification"] is None
    screen = stand("status").out
    assert "ago: run 2, snapshot" in screen
    assert "Quarantine: rows of fact_loan from 1 runs" in screen


def test_the_status_is_watched_until_it_is_stopped(stand: Stand) -> None:
    with stand.totesys.started("status", "--watch", "--every", "1s", *stand.place) as process:
        line = line_with(process, "old (run 2)")
        assert "2 runs pending, 1 dead letters, 1 runs with quarantine" in line
        process.terminate()
        assert process.wait() == 0


def test_runs_are_listed_and_one_is_shown_with_its_tables(stand: Stand) -> None:
    runs = stand.json("runs", "--limit", "3")
    assert [run["run"] for run in runs] == [4, 3, 2]
    assert {name: state["state"] for name, state in runs[0]["stages"].items()} == {
        "ingest": "done",
        "transform": "waiting",
        "load": "waiting",
    }
    detail = stand.json("runs", "3")
    assert (detail["extracted"].keys(), detail["quarantine"]["fact_loan"]["parts"][0]["rows"]) == ({"loan"}, 1)


def test_a_check_lists_what_needs_attention(stand: Stand) -> None:
    ended = stand("status", "--check")
    assert (ended.code, ended.err) == (1, "Needs attention: load has 1 dead letters: totesys dlq list load\n")
    assert stand("status").code == 0
    stand.emulator.sqs.purge_queue(QueueUrl=stand.plane.load_dlq_url)
    assert (stand("status", "--check").code, stand.json("status")["problems"]) == (0, [])


async def test_a_message_that_a_stage_gives_up_is_not_waited_for(stand: Stand) -> None:
    source = {"source_dsn": stand.pipeline.source_dsn}
    await execute(stand.pipeline.source_dsn, "ALTER TABLE book RENAME TO books")
    async with running("ingest", environment("ingest", stand.plane, **source) | LIBRARY):
        ended = stand("trigger", "ingest", "--wait", "--timeout", "5m")
    await execute(stand.pipeline.source_dsn, "ALTER TABLE books RENAME TO book")
    assert (ended.code, ended.out) == (1, ""), ended.words
    assert "ingest gave the message up: SchemaDrift: " in ended.err
    assert "table book is missing" in ended.err
    (letter,) = stand.json("dlq", "list", "ingest")
    assert f"totesys dlq redrive ingest --id {letter['id']}" in ended.err
    stand.emulator.sqs.purge_queue(QueueUrl=stand.plane.ingest_dlq_url)


async def test_a_trigger_wakes_a_stage_and_waits_for_what_it_does(stand: Stand) -> None:
    pipeline, plane = stand.pipeline, stand.plane
    source = {"source_dsn": pipeline.source_dsn}
    warehouse = {"warehouse_dsn": pipeline.warehouse_dsn}
    async with (
        running("transform", environment("transform", plane) | LIBRARY),
        running("load", environment("load", plane, **warehouse, **source) | LIBRARY),
    ):
        assert [run["run"] for run in stand.json("trigger", "load", "--wait")] in ([], [3], [3, 4])
        async with running("ingest", environment("ingest", plane, **source) | LIBRARY):
            mended = "UPDATE loan SET lent_at = '2026-01-06'"
            await execute(pipeline.source_dsn, mended, "DELETE FROM loan WHERE loan_id = 1")
            (run,) = stand.json("trigger", "ingest", "--mode", "sweep", "--wait")
            assert {state["state"] for state in run["stages"].values()} == {"done"}
            assert await pipeline.rows("SELECT FROM lending.fact_loan_current WHERE loan_id = 1") == []
            ended = stand("trigger", "ingest", "--mode", "repair", "--keys", "loan=2", "--wait")
            assert (ended.code, f"run {run['run'] + 1} load" in ended.err) == (0, True), ended.words
            await execute(pipeline.warehouse_dsn, "UPDATE warehouse.dim_book SET title = 'X' WHERE book_id = 1")
            ended = stand("trigger", "load", "--verify", "--wait")
            assert (ended.code, "totesys verify" in ended.err) == (1, True), ended.words
    assert stand.json("status")["verification"]["wrong"] == 1
    ended = stand("trigger", "load", "--verify", "--wait", "--timeout", "1s")
    assert (ended.code, "Check that the services run" in ended.err) == (1, True), ended.words

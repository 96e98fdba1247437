"""Replays of load and transform in this process: what is new comes first, and what was cut off goes on."""

import asyncio
from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from tests.pipeline import Pipeline
from tests.sources import execute, rows, value
from totesys.errors import BadMessage, CorruptObject
from totesys.lake.keys import MANIFEST, part_key, record_key
from totesys.log_events import LogEvent
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger

ALL = RunsTrigger(from_run=1, to_run=99, replay="all")
TITLES = "SELECT book_id, title FROM warehouse.dim_book ORDER BY 1"


@pytest.fixture
async def loaded(library: Pipeline) -> Pipeline:
    """Five runs, the title of one book changed in each."""
    await library.tick()
    for number in range(2, 6):
        await execute(library.source_dsn, f"UPDATE book SET title = 'Dune {number}' WHERE book_id = 1")
        await execute(library.source_dsn, f"UPDATE loan SET fee = {number} WHERE loan_id = 1")
        await library.tick()
    return library


async def add_run(pipeline: Pipeline, fee: int = 77) -> None:
    """One that transform has done and load has not."""
    await execute(pipeline.source_dsn, f"UPDATE loan SET fee = {fee} WHERE loan_id = 2")
    await pipeline.ingest.work(ExtractTrigger())
    await pipeline.transform.work(RECONCILE)


def events(logs: Iterable[object], *names: str) -> list[tuple[str, int]]:
    return [(log["event"], log["run"]) for log in logs if log["event"] in names]  # type: ignore[index]


async def test_new_runs_come_before_replayed_ones(loaded: Pipeline) -> None:
    await add_run(loaded)
    with capture_logs() as logs:
        await loaded.load.work(ALL)
    said = events(logs, LogEvent.RUN_COMPLETED, LogEvent.RUN_REPLAYED)
    assert said == [(LogEvent.RUN_COMPLETED, 6), *((LogEvent.RUN_REPLAYED, run) for run in range(1, 6))]
    await execute(loaded.source_dsn, "UPDATE loan SET fee = 78 WHERE loan_id = 2")
    await loaded.ingest.work(ExtractTrigger())
    with capture_logs() as logs:
        await loaded.transform.work(RunsTrigger(from_run=1, to_run=2))
    assert [run for _, run in events(logs, LogEvent.RUN_COMPLETED)] == [7, 1, 2]


async def test_a_new_run_that_fails_keeps_no_replay_from_going_on_and_is_told_in_the_end(loaded: Pipeline) -> None:
    await add_run(loaded)
    await loaded.lake.processed.put(part_key("lending", "fact_loan", 6, 0, "parquet"), b"broken")
    with capture_logs() as logs, pytest.raises(CorruptObject, match="run=00000006"):
        await loaded.load.work(ALL)
    assert [run for _, run in events(logs, LogEvent.RUN_REPLAYED)] == [1, 2, 3, 4, 5]


async def test_a_replay_that_failed_goes_on_at_the_run_that_failed(loaded: Pipeline) -> None:
    part = part_key("lending", "fact_loan", 3, 0, "parquet")
    whole = await loaded.lake.processed.get(part)
    assert whole is not None
    await loaded.lake.processed.put(part, b"broken")
    with pytest.raises(CorruptObject, match="run=00000003"):
        await loaded.load.work(ALL)
    said = await loaded.lake.replay("load", "all")
    assert said is not None
    assert (said.done, said.runs, said.finished, said.failure and said.failure.run) == (2, 2, False, 3)
    await loaded.lake.processed.put(part, whole)
    for runs in ([3, 4, 5], []):
        with capture_logs() as logs:
            await loaded.load.work(ALL)
        assert [run for _, run in events(logs, LogEvent.RUN_REPLAYED)] == runs
    said = await loaded.lake.replay("load", "all")
    assert said is not None
    assert (said.done, said.runs, said.finished, said.failure) == (5, 5, True, None)


async def test_a_replay_that_is_cancelled_leaves_whole_runs_and_can_be_asked_for_again(loaded: Pipeline) -> None:
    before = await rows(loaded.warehouse_dsn, TITLES)
    for delay in (0.02, 0.05, 0.1, 0.2):
        replaying = asyncio.create_task(loaded.load.work(ALL.model_copy(update={"replay": f"cancelled-{delay}"})))
        await asyncio.sleep(delay)
        replaying.cancel()
        await asyncio.gather(replaying, return_exceptions=True)
        assert await rows(loaded.warehouse_dsn, TITLES) == before
        assert await value(loaded.warehouse_dsn, "SELECT count(*) FROM lending.fact_loan_current") == 2
        await loaded.load.work(ALL.model_copy(update={"replay": f"cancelled-{delay}"}))
        assert await rows(loaded.warehouse_dsn, TITLES) == before


async def test_an_old_run_whose_rows_later_runs_brought_too_writes_none_of_them(loaded: Pipeline) -> None:
    """Told from what a later run only did not change by the ledger, also where an earlier release wrote that."""
    places = "SELECT book_id, ctid::text, xmin::text FROM warehouse.dim_book ORDER BY 1"
    before = await rows(loaded.warehouse_dsn, places)
    for statements in ((), ("DELETE FROM etl.dimension_key", "UPDATE etl.run_table SET keys_noted = false")):
        await execute(loaded.warehouse_dsn, *statements)
        for run in (1, 2, 3, 4, 5):
            await loaded.load.work(RunsTrigger(run=run))
        assert await rows(loaded.warehouse_dsn, places) == before


async def test_runs_that_the_warehouse_has_not_are_refused(loaded: Pipeline) -> None:
    with pytest.raises(BadMessage, match="no runs from 7 to 9 for load to replay"):
        await loaded.load.work(RunsTrigger(from_run=7, to_run=9))
    with pytest.raises(BadMessage, match="no runs from 7 to 9 for transform to replay"):
        await loaded.transform.work(RunsTrigger(from_run=7, to_run=9))


async def test_a_run_whose_manifest_is_missing_is_named(loaded: Pipeline) -> None:
    processed = loaded.lake.processed
    await processed.client.delete_object(Bucket=processed.name, Key=record_key(2, MANIFEST))
    with pytest.raises(CorruptObject, match=r"run=00000002/manifest.json is missing"):
        await loaded.load.work(RunsTrigger(run=2))

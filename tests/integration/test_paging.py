"""Lists of runs, page by page: whoever follows `before` reaches everything, whatever numbers are missing between."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest

from tests.examples import rounds
from tests.pipeline import Pipeline
from totesys.lake import keys
from totesys.lake.quarantine_parts import quarantine_parts
from totesys.lake.records import Manifest, ProcessedManifest, VerificationRecord
from totesys.lake.store import Lake
from totesys.service.runs import list_quarantined, list_runs
from totesys_console.facts import Observer

T = TypeVar("T")


async def make_runs(lake: Lake, random: Random, manifest: Manifest, processed: ProcessedManifest) -> dict[int, bool]:
    """Runs with gaps between them, some empty; those with parts, each with whether a row of it is in quarantine."""
    made: dict[int, bool] = {}
    run = manifest.run
    for _ in range(60):
        run += random.choice([1, 1, 1, 1, 2, 3, 30, 700])
        head = {"run": run, "extraction": run}
        if random.random() < 0.6:
            await lake.commit(manifest.model_copy(update={**head, "tables": {}}))
            made[run] = False
            continue
        await lake.commit(manifest.model_copy(update=head))
        made[run] = random.random() < 0.3
        parts = {"dim_book": processed.tables["dim_book"]} if made[run] else {}
        if made[run]:
            await lake.processed.put(keys.quarantine_key("lending", "dim_book", run, 0), b"rows")
        await lake.commit_processed(processed.model_copy(update={**head, "quarantine": parts}))
    counter = await lake.counter()
    assert counter is not None
    last = run + random.choice([0, 1, 300])
    await lake.ingest.put(keys.RUN_NUMBER, counter.model_copy(update={"last": last}).model_dump_json().encode())
    return made


async def pages(ask: Callable[[int | None], Awaitable[list[T]]], number: Callable[[T], int]) -> list[list[T]]:
    """Every page, each asked for below the last run of the one before it."""
    found: list[list[T]] = []
    while page := await ask(number(found[-1][-1]) if found else None):
        found.append(page)
    return found


@pytest.mark.parametrize("turn", rounds(1, 4))
async def test_whoever_follows_before_reaches_every_run_and_every_row_in_quarantine(
    library: Pipeline, seed: str, turn: int
) -> None:
    await library.tick()
    lake, random = library.lake, Random(f"{seed}-{turn}")
    manifest, processed = await lake.manifest(1), await lake.processed_manifest(1)
    assert manifest is not None
    assert processed is not None
    made = {1: False, **await make_runs(lake, random, manifest, processed)}

    def by_run(one: Any) -> int:
        return int(one.run)

    for limit in (1, 7, 20):
        runs = await pages(partial(list_runs, lake, limit), by_run)
        assert [run.run for page in runs for run in page] == sorted(made, reverse=True)
        assert {len(page) for page in runs[:-1]} <= {limit}
        rows = await pages(partial(list_quarantined, lake, limit), by_run)
        wrong = sorted((run for run, quarantined in made.items() if quarantined), reverse=True)
        assert [row.run for page in rows for row in page] == wrong
        assert {len(page) for page in rows[:-1]} <= {limit}
    assert [part.run async for part in quarantine_parts(lake)] == wrong
    shown = await Observer().newest(lake, max(made), 20)
    assert [run.run for run in shown] == sorted(made, reverse=True)[:20]


async def test_the_last_verifications_are_found_however_long_ago_they_were(library: Pipeline) -> None:
    assert await library.lake.verifications(1) == []
    now = datetime.now(UTC)
    record = VerificationRecord(
        started_at=now, seconds=1, run=None, snapshot_time=None, reason="", equal=True, tables={}
    )
    ages = [timedelta(days=days) for days in (900, 899, 40, 39, 38, 0)]
    for age in ages:
        await library.lake.put_verification(record.model_copy(update={"started_at": now - age}))
    for limit in (1, 2, 4, 5, 6, 100):
        found = [now - one.started_at for one in await library.lake.verifications(limit)]
        assert found == sorted(ages)[:limit]

"""The way out of a corrupt part is what its error says."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import DUPLICATED_LOANS, execute, make_library, rows, verified
from totesys.errors import CorruptObject
from totesys.lake.bucket import Bucket
from totesys.lake.keys import EMPTY, MANIFEST, parse_record_key, record_key
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane

STOP_AND_DELETE = (
    r"is not what its manifest says\. Restore it\. If you can't: stop ingest, delete manifest\.json and "
    r"empty\.json of its run and of all later runs in both buckets, and start ingest again"
)


async def damage(bucket: Bucket, run: int) -> None:
    """Change a byte of the first part of a run."""
    key = min([key async for key in bucket.keys("") if f"run={run:08d}/part-" in key])
    body = await bucket.get(key)
    assert body is not None
    await bucket.put(key, body[:-2] + b"?" + body[-1:])


async def delete_from(pipeline: Pipeline, run: int) -> None:
    """Follow the advice, between two extractions."""
    for bucket in (pipeline.lake.ingest, pipeline.lake.processed):
        for key in [key async for key in bucket.keys("runs/")]:
            parsed = parse_record_key(key)
            assert parsed is not None
            if parsed[0] >= run and parsed[1] in {MANIFEST, EMPTY}:
                await bucket.client.delete_object(Bucket=bucket.name, Key=key)


async def lend(pipeline: Pipeline, loan: int) -> None:
    """One more loan, in a run of its own; the fee of the first one changes."""
    await execute(
        pipeline.source_dsn,
        f"INSERT INTO loan VALUES ({loan}, 1, 'Eve', '2026-02-01', 1, false)",
        f"UPDATE loan SET fee = {loan} WHERE loan_id = 1",
    )
    await pipeline.ingest.work(ExtractTrigger())


async def assert_right(pipeline: Pipeline) -> None:
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, pipeline.model)
    assert await rows(pipeline.warehouse_dsn, DUPLICATED_LOANS) == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_corrupt_part_of_ingest_is_got_over_without_its_run(library: Pipeline, restarted: bool) -> None:
    await library.tick()
    await lend(library, 8)
    await lend(library, 9)
    await library.ingest.work(ExtractTrigger())
    assert await library.lake.ingested() == {1: False, 2: False, 3: False, 4: True}
    await damage(library.lake.ingest, 2)
    with pytest.raises(CorruptObject, match=STOP_AND_DELETE):
        await library.catch_up()
    # A later run may be in the processed bucket already, where somebody asked for it.
    with suppress(CorruptObject):
        await library.transform.work(RunsTrigger(run=3))
    assert await library.lake.processed_runs() == [1, 3]
    await delete_from(library, 2)
    if restarted:
        library.restart()
    await library.tick()
    assert await library.lake.processed_runs() == [1, 5]
    await assert_right(library)
    await lend(library, 10)
    await library.tick()
    await assert_right(library)


async def test_a_corrupt_part_of_a_series_is_got_over_by_a_new_one(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    small: dict[str, Any] = {"part_bytes": 1, "scan_bytes": 1, "run_bytes": 1}
    source = await make_library(database())
    await execute(
        source, "INSERT INTO loan SELECT n, 1, 'Eve', '2026-02-01', 1, false FROM generate_series(3, 900) AS n"
    )
    async with Pipeline(MODEL, data_plane, source, database(), **small) as pipeline:
        await pipeline.ingest.work(ExtractTrigger())
        last = max(await pipeline.lake.ingested())
        assert last > 3
        await damage(pipeline.lake.ingest, 3)
        with pytest.raises(CorruptObject, match=STOP_AND_DELETE):
            await pipeline.transform.work(RECONCILE)
        await pipeline.load.work(RECONCILE)
        await delete_from(pipeline, 3)
        await pipeline.tick()
        assert min(await pipeline.lake.ingested(after=2)) == last + 1
        await assert_right(pipeline)


async def test_a_corrupt_part_of_a_run_that_is_loaded_is_got_over_too(library: Pipeline) -> None:
    await library.tick()
    await lend(library, 8)
    await library.catch_up()
    await lend(library, 9)
    await library.catch_up()
    await damage(library.lake.ingest, 2)
    # Nothing needs it but to do the run again.
    await library.tick()
    with pytest.raises(CorruptObject, match=STOP_AND_DELETE):
        await library.transform.work(RunsTrigger(run=2))
    await delete_from(library, 2)
    await library.tick()
    await lend(library, 10)
    await library.tick()
    await assert_right(library)


async def test_a_corrupt_part_of_transform_is_made_again(library: Pipeline) -> None:
    await library.tick()
    await lend(library, 8)
    await library.transform.work(RECONCILE)
    await damage(library.lake.processed, 2)
    with pytest.raises(CorruptObject, match="Restore it, or replay its run in transform"):
        await library.load.work(RECONCILE)
    await library.transform.work(RunsTrigger(run=2))
    await library.load.work(RECONCILE)
    await assert_right(library)
    assert await library.lake.processed.get(record_key(2, MANIFEST))

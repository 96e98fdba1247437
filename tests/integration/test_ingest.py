"""Ingest: every committed change comes into exactly one series of runs, with rights to read and nothing else."""

import asyncio
import io
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.models.library import LOAN, MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library, rows, verified
from totesys.connection import connect
from totesys.lake.records import Manifest
from totesys.sql import column_list
from totesys.transactions import HighWaterMark
from totesys.triggers import ExtractTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_ingest.source_connection import LOCK

pytestmark = pytest.mark.postgres

CHANGES = ExtractTrigger()
FULL = ExtractTrigger(mode="full")
LOANS = "SELECT loan_id, count(*) FROM warehouse.fact_loan GROUP BY 1 ORDER BY 1"
# Where each row of every table is, which any write to it changes.
PLACES = """
    SELECT 'dim_book', ctid::text, xmin::text, xmax::text FROM warehouse.dim_book
    UNION ALL SELECT 'fact_loan', ctid::text, xmin::text, xmax::text FROM warehouse.fact_loan
    UNION ALL SELECT 'run', ctid::text, xmin::text, xmax::text FROM etl.run
    UNION ALL SELECT 'run_table', ctid::text, xmin::text, xmax::text FROM etl.run_table ORDER BY 1, 2"""


async def newest(pipeline: Pipeline) -> Manifest:
    manifest = await pipeline.lake.newest_manifest()
    assert manifest is not None
    return manifest


async def keys(pipeline: Pipeline) -> set[str]:
    """Every object of both buckets."""
    lake = pipeline.lake
    return {f"{bucket.name}/{key}" for bucket in (lake.ingest, lake.processed) async for key in bucket.keys("")}


async def is_right(pipeline: Pipeline) -> bool:
    return await verified(pipeline.source_dsn, pipeline.warehouse_dsn, pipeline.model)


async def test_a_transaction_that_commits_late_is_seen_whenever_it_began(library: Pipeline) -> None:
    async with connect("The source", library.source_dsn) as late:
        open_one = late.transaction()
        await open_one.start()
        await late.execute("UPDATE loan SET fee = 8 WHERE loan_id = 1")
        async with late.transaction():
            await late.execute("INSERT INTO loan SELECT 3, 1, 'Cyd', '2026-01-07', 2, false")
        for _ in range(2):
            await library.tick()
            assert await rows(library.warehouse_dsn, LOANS) == [(1, 1), (2, 1)]
            await execute(library.source_dsn, "UPDATE book SET shelf = shelf || 'x'")
        await open_one.commit()
    await library.tick()
    assert await rows(library.warehouse_dsn, LOANS) == [(1, 2), (2, 1), (3, 1)]
    assert await is_right(library)


async def test_what_was_rolled_back_never_comes_and_a_released_savepoint_does(library: Pipeline) -> None:
    await library.tick()
    async with connect("The source", library.source_dsn) as source:
        outer = source.transaction()
        await outer.start()
        await source.execute("UPDATE loan SET fee = 8")
        await outer.rollback()
        await library.tick()
        assert (await newest(library)).empty
        async with source.transaction():
            for reader, kept in (("Cyd", True), ("Dan", False), ("Eve", True)):
                inner = source.transaction()
                await inner.start()
                await source.execute("INSERT INTO loan SELECT 3 + count(*), 1, $1, now(), 2 FROM loan", reader)
                await (inner.commit() if kept else inner.rollback())
    await library.tick()
    assert await rows(library.warehouse_dsn, "SELECT reader FROM warehouse.fact_loan WHERE loan_id > 2 ORDER BY 1") == [
        ("Cyd",),
        ("Eve",),
    ]
    assert await is_right(library)


async def test_a_full_extraction_takes_all_and_doubles_nothing(library: Pipeline) -> None:
    await library.tick()
    await execute(library.source_dsn, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
    await library.tick("full")
    manifest = await newest(library)
    assert {name: table.rows for name, table in manifest.tables.items()} == {"book": 3, "loan": 2}
    assert manifest.xmin_before is None
    assert await rows(library.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]
    await library.tick()
    assert (await newest(library)).empty


async def test_only_one_extraction_is_at_work_and_a_full_one_waits_for_its_end(library: Pipeline) -> None:
    async with connect("The source", library.source_dsn) as other:
        await other.execute("SELECT pg_advisory_lock($1)", LOCK)
        full = asyncio.create_task(library.ingest.work(FULL))
        await library.ingest.work(CHANGES)
        assert await keys(library) == set()
    await full
    await library.catch_up()
    assert await is_right(library)


async def test_another_database_behind_the_name_is_taken_whole_with_a_warning(
    library: Pipeline, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    await library.tick()
    source = await make_library(database())
    await execute(source, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
    async with Pipeline(MODEL, data_plane, source, library.warehouse_dsn) as other:
        with capture_logs() as logs:
            await other.tick()
        (warning,) = [log for log in logs if log["log_level"] == "warning"]
        assert warning["everything"] is True
        assert "the last run is of" in warning["reason"]
        assert await is_right(other)
        assert await rows(other.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]


async def test_a_mark_that_the_source_has_not_reached_is_not_believed(library: Pipeline) -> None:
    await library.tick()
    last = await newest(library)
    assert last.high_water_mark is not None
    number = (await library.lake.claim_run_number()).last
    mark = HighWaterMark(xmax=last.high_water_mark.xmax + 10_000_000)
    future = {"run": number, "previous": last.run, "tables": {}, "high_water_mark": mark}
    await library.lake.commit(last.model_copy(update=future))
    await execute(library.source_dsn, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
    with capture_logs() as logs:
        await library.tick()
    assert [log["everything"] for log in logs if log["log_level"] == "warning"] == [True]
    assert (await newest(library)).xmin_before is None
    assert await rows(library.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]


async def test_a_part_is_the_csv_that_postgres_writes(library: Pipeline) -> None:
    await execute(
        library.source_dsn,
        """INSERT INTO loan SELECT 10 + n, 1, text, '2026-01-05 09:30:00.001', n, NULL FROM unnest(ARRAY[
           '', ' ', '"', '""', ',', ';', '''', E'two\\nlines', E'\\r\\n', E'\\t', '\\N', '\\.', 'NULL', 'ñ😀'
           ]) WITH ORDINALITY AS t (text, n)""",
    )
    await library.tick()
    expected = io.BytesIO()

    async def keep(data: bytes) -> None:
        expected.write(data)

    async with connect("The source", library.source_dsn) as source:
        query = f"SELECT {column_list(LOAN.column_names)} FROM loan"
        await source.copy_from_query(query, output=keep, format="csv", header=True)
    (part,) = (await newest(library)).tables["loan"].parts
    assert await library.lake.ingest.get(part.key) == expected.getvalue()
    assert await is_right(library)


async def test_a_tick_without_changes_writes_one_record_and_nothing_else(library: Pipeline) -> None:
    await library.tick()
    before, places = await keys(library), await rows(library.warehouse_dsn, PLACES)
    await library.tick()
    bucket = library.lake.ingest.name
    assert await keys(library) - before == {f"{bucket}/runs/run=00000002/empty.json"}
    assert await rows(library.warehouse_dsn, PLACES) == places

"""Load: a run is in the warehouse once, whole, in its order, and every row leads back to it."""

import asyncio
from collections.abc import Callable

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_company, rows, verified
from totesys.connection import connect
from totesys.errors import CorruptObject, WarehouseMismatch
from totesys.lake.keys import LOAD, MANIFEST, record_key
from totesys.model import MODEL as COMPANY
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra import data_plane_template

pytestmark = pytest.mark.postgres

LEDGER = """
    SELECT run, table_name, rows_read, rows_written, rows_quarantined, first_record_id, last_record_id
    FROM etl.run_table ORDER BY run, table_name"""
VERSIONS = "SELECT loan_record_id, loan_id, fee FROM warehouse.fact_loan ORDER BY 1"
BOOK_PLACES = "SELECT book_id, ctid::text, xmin::text FROM warehouse.dim_book"
EVERYTHING = """
    SELECT (SELECT count(*) FROM etl.run), (SELECT count(*) FROM warehouse.dim_book),
           (SELECT count(*) FROM warehouse.fact_loan)"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'warehouse.fact_loan'::regclass"


async def ledger(pipeline: Pipeline) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await rows(pipeline.warehouse_dsn, LEDGER)]


async def versions(pipeline: Pipeline) -> list[tuple[int, int, str]]:
    """Record id, loan and fee of each version."""
    return [(row[0], row[1], str(row[2])) for row in await rows(pipeline.warehouse_dsn, VERSIONS)]


async def change_fee(pipeline: Pipeline, loan: int, fee: int) -> None:
    await execute(pipeline.source_dsn, f"UPDATE loan SET fee = {fee} WHERE loan_id = {loan}")


async def test_readers_see_a_run_whole_or_not_at_all(library: Pipeline) -> None:
    await library.tick()
    await execute(library.source_dsn, "UPDATE book SET shelf = 'Z'", "UPDATE loan SET fee = 7")
    seen = """SELECT (SELECT count(*) FROM warehouse.dim_book WHERE shelf = 'Z'),
                     (SELECT count(*) FROM lending.fact_loan_current WHERE fee = 7), (SELECT max(run) FROM etl.run)"""
    async with connect("The warehouse", library.warehouse_dsn) as reader, asyncio.TaskGroup() as tasks:
        async with reader.transaction():
            # Load has written the dimension when it comes to the fact, which it may not write.
            await reader.execute("LOCK TABLE warehouse.fact_loan IN SHARE MODE")
            loading = tasks.create_task(library.tick())
            while not await reader.fetchval(WAITING):
                assert not loading.done()
                await asyncio.sleep(0.01)
            assert await rows(library.warehouse_dsn, seen) == [(0, 0, 1)]
        await loading
        assert await rows(library.warehouse_dsn, seen) == [(3, 2, 2)]


async def test_a_dimension_row_that_does_not_differ_is_not_written(library: Pipeline) -> None:
    await library.tick()
    before = {row[0]: row[1:] for row in await rows(library.warehouse_dsn, BOOK_PLACES)}
    await execute(library.source_dsn, "UPDATE book SET title = 'Howl!' WHERE book_id = 2")
    await library.tick()
    after = {row[0]: row[1:] for row in await rows(library.warehouse_dsn, BOOK_PLACES)}
    assert [key for key in after if after[key] != before[key]] == [2]
    assert await rows(library.warehouse_dsn, "SELECT rows_written FROM etl.run WHERE run = 2") == [(1,)]


async def test_a_run_waits_for_the_one_before_it(library: Pipeline) -> None:
    await library.ingest.work(ExtractTrigger())
    await change_fee(library, 1, 5)
    await library.ingest.work(ExtractTrigger())
    await library.transform.work(RECONCILE)
    processed = library.lake.processed
    await processed.client.delete_object(Bucket=processed.name, Key=record_key(1, MANIFEST))
    await library.load.work(RECONCILE)
    assert await rows(library.warehouse_dsn, "SELECT run FROM etl.run") == []
    library.restart()
    await library.catch_up()
    assert await versions(library) == [(1, 1, "0.50"), (2, 2, "1.25"), (3, 1, "5.00")]


async def test_replicas_that_load_at_once_double_nothing(library: Pipeline) -> None:
    await library.ingest.work(ExtractTrigger())
    await change_fee(library, 1, 5)
    await library.ingest.work(ExtractTrigger())
    await library.transform.work(RECONCILE)
    replicas = [library.load]
    for _ in range(3):
        library.restart()
        replicas.append(library.load)
    await asyncio.gather(*(replica.work(RECONCILE) for replica in replicas))
    assert await versions(library) == [(1, 1, "0.50"), (2, 2, "1.25"), (3, 1, "5.00")]


async def test_a_new_lake_over_a_filled_warehouse_doubles_nothing(library: Pipeline, emulator: Emulator) -> None:
    await library.tick()
    await change_fee(library, 1, 5)
    await library.tick()
    before = await versions(library)
    other = emulator.apply(data_plane_template(), "test-another-lake")
    async with Pipeline(MODEL, other, library.source_dsn, library.warehouse_dsn) as pipeline:
        await pipeline.tick()
        assert await versions(pipeline) == before
        await change_fee(pipeline, 2, 6)
        await pipeline.tick()
    assert await versions(library) == [*before, (4, 2, "6.00")]
    assert await rows(library.warehouse_dsn, "SELECT count(DISTINCT lake), count(*) FROM etl.run") == [(2, 4)]


async def test_the_ledger_says_what_each_run_read_and_wrote_and_where(library: Pipeline) -> None:
    await library.tick()
    await change_fee(library, 1, 5)
    await library.tick()
    await library.tick("full")
    assert await ledger(library) == [
        (1, "dim_book", 3, 3, 0, None, None),
        (1, "fact_loan", 2, 2, 0, 1, 2),
        (2, "fact_loan", 1, 1, 0, 3, 3),
        (3, "dim_book", 3, 0, 0, None, None),
        (3, "fact_loan", 2, 0, 0, 4, 3),
    ]
    assert await rows(library.warehouse_dsn, "SELECT run, rows_written FROM etl.run ORDER BY run") == [
        (1, 5),
        (2, 1),
        (3, 0),
    ]


async def test_replayed_runs_come_to_the_same_places(library: Pipeline) -> None:
    await library.tick()
    for fee in (5, 6):
        await change_fee(library, 1, fee)
        await library.tick()
    await library.tick("full")
    before, noted = await versions(library), await ledger(library)
    for again in (*(RunsTrigger(run=run) for run in (1, 2, 3, 4)), RunsTrigger(from_run=1, to_run=4)):
        await library.catch_up(again)
        assert await versions(library) == before
        assert [row[5:] for row in await ledger(library)] == [row[5:] for row in noted]


async def test_a_row_that_refers_to_nothing_is_kept_apart_until_it_does(library: Pipeline) -> None:
    await execute(
        library.source_dsn,
        "ALTER TABLE loan DROP CONSTRAINT loan_book_id_fkey",
        "INSERT INTO loan SELECT 9, 99, 'Eve', '2026-02-01', 3, false",
    )
    await library.tick()
    assert await versions(library) == [(1, 1, "0.50"), (2, 2, "1.25")]
    (orphan,) = await library.quarantine("fact_loan")
    assert orphan["reasons"] == ["book_id is not in dim_book"]
    assert (orphan["loan_id"], orphan["reader"], orphan["fee"]) == ("9", "Eve", "3.00")
    assert (await ledger(library))[-1] == (1, "fact_loan", 3, 2, 1, 1, 3)
    await library.catch_up(RunsTrigger(run=1))
    await change_fee(library, 1, 5)
    await library.tick()
    await execute(library.source_dsn, "INSERT INTO book VALUES (99, 'Emma', NULL, 'NOVEL')")
    await library.tick()
    assert await versions(library) == [(1, 1, "0.50"), (2, 2, "1.25"), (3, 9, "3.00"), (4, 1, "5.00")]
    assert ("fact_loan", 3, 3, 0, 1, 3) in [row[1:] for row in await ledger(library) if row[0] == 1]
    await library.catch_up(RunsTrigger(run=1))
    assert await versions(library) == [(1, 1, "0.50"), (2, 2, "1.25"), (3, 9, "3.00"), (4, 1, "5.00")]
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)


async def test_a_run_that_became_larger_than_its_place_is_refused_whole(library: Pipeline) -> None:
    await library.tick()
    await change_fee(library, 1, 5)
    await library.tick()
    before = await versions(library)
    await execute(library.warehouse_dsn, "UPDATE etl.run_table SET last_record_id = 1 WHERE run = 1")
    with pytest.raises(WarehouseMismatch, match="Run 1 now has 2 new versions of fact_loan and had 1"):
        await library.catch_up(RunsTrigger(run=1))
    assert await versions(library) == before


async def test_a_part_that_is_not_what_its_manifest_says_loads_nothing_of_its_run(library: Pipeline) -> None:
    await library.ingest.work(ExtractTrigger())
    await library.transform.work(RECONCILE)
    part = "lending/fact_loan/run=00000001/part-00000.parquet"
    body = await library.lake.processed.get(part)
    assert body is not None
    for broken in (body[:-1], b"", bytes([*body[:-1], body[-1] ^ 1])):
        await library.lake.processed.put(part, broken)
        with pytest.raises(CorruptObject, match=f"{part} is not what its manifest says"):
            await library.load.work(RECONCILE)
        assert await rows(library.warehouse_dsn, EVERYTHING) == [(0, 0, 0)]
    failure = await library.lake.failure(1, "load")
    assert failure is not None
    assert failure.title == "Corrupt object"
    await library.transform.work(RunsTrigger(run=1))
    await library.load.work(RECONCILE)
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)


async def test_a_record_of_a_load_that_was_cut_off_is_written_at_the_next_wake_up(library: Pipeline) -> None:
    await library.tick()
    written = await library.lake.load_record(1)
    assert written is not None
    processed = library.lake.processed
    await processed.client.delete_object(Bucket=processed.name, Key=record_key(1, LOAD))
    await library.load.work(RECONCILE)
    record = await library.lake.load_record(1)
    assert record is not None
    assert {name: t.model_copy(update={"seconds": 0}) for name, t in written.tables.items()} == {
        name: t.model_copy(update={"seconds": 0}) for name, t in record.tables.items()
    }


async def test_dates_outside_the_calendar_and_every_view_of_a_star_are_there(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source, warehouse = await make_company(database()), database()
    await execute(source, "UPDATE payment SET payment_date = '2055-05-05' WHERE payment_id = 1")
    async with Pipeline(COMPANY, data_plane, source, warehouse) as pipeline:
        await pipeline.tick()
        assert await rows(pipeline.warehouse_dsn, "SELECT date_id::text FROM payments.dim_date WHERE year > 2050") == [
            ("2055-05-05",)
        ]
        assert set(COMPANY.stars) == {"sales", "purchases", "payments"}
        for star, tables in COMPANY.stars.items():
            for table in tables:
                difference = f"SELECT FROM warehouse.{table.name} EXCEPT ALL SELECT FROM {star}.{table.name}"
                assert await rows(pipeline.warehouse_dsn, difference.replace("SELECT FROM", "SELECT * FROM")) == []
                counts = [f"SELECT count(*) FROM {schema}.{table.name}" for schema in ("warehouse", star)]
                assert await rows(pipeline.warehouse_dsn, counts[0]) == await rows(pipeline.warehouse_dsn, counts[1])
    assert await verified(source, warehouse, COMPANY)

"""A fact lacks its key index only while an unfinished extraction fills it, and never when a key is looked up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import DUPLICATED_LOANS, execute, make_library, rows, verified
from totesys.connection import connect
from totesys.errors import DatabaseUnavailable
from totesys.lake.keys import MANIFEST, record_key
from totesys.lake.records import LoadRecord
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_load.load_stage import Load

pytestmark = pytest.mark.postgres

LOANS = 6_000
MORE_LOANS = f"""
    INSERT INTO loan SELECT n, 1 + n % 3, 'reader ' || n, timestamp '2026-01-01' + n * interval '1 minute', n % 9,
    n % 2 = 0 FROM generate_series(3, {LOANS}) n"""
SMALL = {"part_bytes": 32 * 1024, "run_bytes": 64 * 1024}
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'warehouse' ORDER BY 1"
BY_KEY = """
    SELECT count(*) FROM pg_indexes
    WHERE tablename = 'fact_loan' AND indexdef ~ 'btree \\(loan_id, loan_record_id DESC\\)'"""
BUILDING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'"


@pytest.fixture
async def library(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A library whose first extraction is in the lake, a series of runs, and not yet in the warehouse."""
    source = await make_library(database())
    await execute(source, "ALTER TABLE loan DROP CONSTRAINT loan_book_id_fkey", MORE_LOANS)
    async with Pipeline(MODEL, data_plane, source, database(), **SMALL) as pipeline:
        await pipeline.ingest.work(ExtractTrigger())
        # Load prepares the warehouse when there is nothing to load yet.
        await pipeline.load.work(RECONCILE)
        yield pipeline


class Stopped(Exception):
    """Load ended between two runs."""


async def prepared_replica(library: Pipeline) -> Load:
    """Another load, which found the warehouse ready before the first run."""
    library.restart()
    await library.load.work(RECONCILE)
    return library.load


async def load_until(load: Load, last: int) -> None:
    """Load runs until one is loaded, and stop there."""

    def stop(record: LoadRecord) -> None:
        if record.run == last:
            raise Stopped

    load.on_run = stop
    with pytest.raises(Stopped):
        await load.work(RECONCILE)
    load.on_run = None


async def has_key_index(library: Pipeline) -> bool:
    ((found,),) = await rows(library.warehouse_dsn, BY_KEY)
    return bool(found)


async def is_right(library: Pipeline) -> bool:
    equal = await verified(library.source_dsn, library.warehouse_dsn, MODEL)
    return equal and await rows(library.warehouse_dsn, DUPLICATED_LOANS) == [] and await has_key_index(library)


async def test_only_the_last_run_of_a_first_extraction_builds_the_key_index_whichever_replica_loads_it(
    library: Pipeline,
) -> None:
    before = await rows(library.warehouse_dsn, INDEXES)
    runs = await library.lake.ingested()
    assert len(runs) > 3
    replicas = [await prepared_replica(library) for _ in runs]
    await library.transform.work(RECONCILE)
    found = []
    for replica, run in zip(replicas, runs, strict=True):
        await load_until(replica, run)
        found.append(await has_key_index(library))
    assert found == [*[False] * (len(runs) - 1), True]
    assert await rows(library.warehouse_dsn, INDEXES) == before
    assert await is_right(library)
    await execute(library.source_dsn, "UPDATE loan SET fee = 77 WHERE loan_id % 100 = 1")
    for mode in ("changes", "full"):
        await library.tick(mode)
        assert await is_right(library)


async def crash_after_each_run(library: Pipeline) -> None:
    await library.transform.work(RECONCILE)
    for run in await library.lake.processed_runs():
        await load_until(library.load, run)
        library.restart()


async def replay_before_the_end(library: Pipeline) -> None:
    other = await prepared_replica(library)
    library.restart()
    await library.transform.work(RECONCILE)
    await load_until(library.load, 2)
    assert not await has_key_index(library)
    await other.work(RunsTrigger(from_run=1, to_run=2))


async def extract_again_before_the_end(library: Pipeline) -> None:
    """Ingest was killed after it had committed two runs, and these are in the warehouse."""
    bucket = library.lake.ingest
    for run in await library.lake.ingested(2):
        await bucket.client.delete_object(Bucket=bucket.name, Key=record_key(run, MANIFEST))
    await library.catch_up()
    assert not await has_key_index(library)
    await execute(library.source_dsn, "UPDATE loan SET fee = 77 WHERE loan_id % 100 = 1")
    await library.tick()


async def find_unresolved_references(library: Pipeline) -> None:
    await execute(library.source_dsn, "INSERT INTO loan SELECT 0, 99, 'Eve', '2026-02-01', 3, false")
    await library.tick("full")
    await execute(library.source_dsn, "INSERT INTO book VALUES (99, 'Emma', NULL, 'NOVEL')")
    await library.tick()


async def sweep_before_the_end(library: Pipeline) -> None:
    """Keys are deleted between the first extraction and its loading."""
    await execute(library.source_dsn, "DELETE FROM loan WHERE loan_id % 50 = 0")
    await library.ingest.work(ExtractTrigger(mode="sweep"))
    await library.catch_up()


async def kill_the_build(library: Pipeline) -> None:
    other = await prepared_replica(library)
    library.restart()
    await library.transform.work(RECONCILE)
    runs = await library.lake.processed_runs()
    await load_until(library.load, 1)
    async with connect("The warehouse", library.warehouse_dsn) as writer, writer.transaction():
        # COPY does not wait for this lock, and building an index does.
        await writer.execute("LOCK TABLE warehouse.fact_loan IN ROW EXCLUSIVE MODE")
        loading = asyncio.create_task(other.work(RECONCILE))
        while not (pids := await rows(library.warehouse_dsn, BUILDING)):
            assert not loading.done()
            await asyncio.sleep(0.01)
        await writer.execute("SELECT pg_terminate_backend($1)", pids[0][0])
        with pytest.raises(DatabaseUnavailable):
            await loading
    assert await rows(library.warehouse_dsn, "SELECT max(run) FROM etl.run") == [(runs[-2],)]
    assert not await has_key_index(library)
    await other.work(RECONCILE)


async def rebuild_from_the_lake(library: Pipeline) -> None:
    await library.catch_up()
    await execute(library.warehouse_dsn, "DROP SCHEMA warehouse, lending, etl CASCADE")
    library.restart()
    await library.catch_up()


async def read_all_the_time(library: Pipeline) -> None:
    """A reader whose transaction stays open delays no run, and the index stays."""
    async with connect("The warehouse", library.warehouse_dsn) as reader, reader.transaction():
        await reader.fetch("SELECT count(*) FROM warehouse.fact_loan")
        await library.transform.work(RECONCILE)
        await load_until(library.load, 1)
        assert await has_key_index(library)
        await library.load.work(RECONCILE)


@pytest.mark.parametrize(
    "disturb",
    [
        crash_after_each_run,
        replay_before_the_end,
        extract_again_before_the_end,
        find_unresolved_references,
        sweep_before_the_end,
        kill_the_build,
        rebuild_from_the_lake,
        read_all_the_time,
    ],
    ids=lambda disturb: disturb.__name__,
)
async def test_a_disturbed_first_extraction_ends_with_the_key_index_and_every_row_once(
    library: Pipeline, disturb: Callable[[Pipeline], Awaitable[None]]
) -> None:
    await disturb(library)
    await library.catch_up()
    assert await is_right(library)

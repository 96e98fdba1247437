"""A large extraction is a series of bounded runs of one snapshot, and right at its end wherever it is cut off."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import DUPLICATED_LOANS, execute, make_company, make_library, rows, verified
from totesys.lake.keys import EMPTY, MANIFEST, record_key
from totesys.lake.records import Manifest
from totesys.model import MODEL as COMPANY
from totesys.schema import Model
from totesys.table import Dimension, Fact
from totesys.triggers import ExtractTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

LOANS = 8_000
MORE_LOANS = f"""
    INSERT INTO loan SELECT n, 1 + n % 3, 'reader ' || n, timestamp '2026-01-01' + n * interval '1 minute', n % 9,
    n % 2 = 0 FROM generate_series(3, {LOANS}) n"""
SMALL = {"part_bytes": 32 * 1024, "scan_bytes": 64 * 1024, "run_bytes": 64 * 1024}


@pytest.fixture
async def library(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A library whose extraction is a series of runs."""
    source = await make_library(database())
    await execute(source, MORE_LOANS)
    async with Pipeline(MODEL, data_plane, source, database(), **SMALL) as pipeline:
        yield pipeline


async def series(pipeline: Pipeline) -> list[Manifest]:
    """Ingest's records, in order."""
    found = [await pipeline.lake.manifest(run) for run in await pipeline.lake.ingested()]
    return [manifest for manifest in found if manifest is not None]


async def is_right(pipeline: Pipeline) -> bool:
    return await verified(pipeline.source_dsn, pipeline.warehouse_dsn, pipeline.model)


async def cut_off(pipeline: Pipeline, after: int) -> None:
    """Leave the lake as it is where ingest was killed after it had committed a run."""
    bucket = pipeline.lake.ingest
    for run in await pipeline.lake.ingested(after):
        for name in (MANIFEST, EMPTY):
            await bucket.client.delete_object(Bucket=bucket.name, Key=record_key(run, name))


async def test_a_large_table_comes_in_several_parts_and_runs_of_one_extraction(library: Pipeline) -> None:
    await library.tick()
    runs = await series(library)
    assert len(runs) > 2
    assert any(len(run.tables["loan"].parts) > 1 for run in runs)
    assert sum(run.tables["loan"].rows for run in runs) == LOANS
    assert [run.complete for run in runs] == [*[False] * (len(runs) - 1), True]
    assert [run.xmin_after is None for run in runs] == [*[True] * (len(runs) - 1), False]
    assert [run.previous for run in runs] == [0, *(run.run for run in runs[:-1])]
    assert {run.extraction for run in runs} == {runs[0].run}
    assert len({run.snapshot_time for run in runs}) == 1
    assert await is_right(library)
    assert await rows(library.warehouse_dsn, DUPLICATED_LOANS) == []


@pytest.mark.parametrize("connections", [1, 4])
async def test_what_a_fact_refers_to_is_in_an_earlier_run_or_in_the_same(
    database: Callable[[], str], data_plane: LocalDataPlane, connections: int
) -> None:
    limits = {"part_bytes": 8 * 1024, "run_bytes": 1, "full_connections": connections}
    async with Pipeline(COMPANY, data_plane, await make_company(database()), database(), **limits) as pipeline:
        await pipeline.tick()
        runs = await series(pipeline)
        assert len(runs) > 1
        assert all(set(dimension.sources) <= set(runs[0].tables) for dimension in joining(COMPANY))
        for fact in COMPANY.facts:
            first = min(run.run for run in runs for name in fact.sources if name in run.tables)
            assert last_run_of_references(COMPANY, fact, runs) <= first
            assert await pipeline.quarantine(fact.name) == []
        assert await is_right(pipeline)


def joining(model: Model) -> list[Dimension]:
    return [dimension for dimension in model.dimensions if len(dimension.sources) > 1]


def last_run_of_references(model: Model, fact: Fact, runs: list[Manifest]) -> int:
    dimensions = [model.table(column.references) for column in fact.columns if column.references]
    sources = {name for dimension in dimensions for name in dimension.sources}
    return max(run.run for run in runs for name in sources if name in run.tables)


@pytest.mark.parametrize("loaded", [False, True])
async def test_an_extraction_that_was_cut_off_starts_over(library: Pipeline, loaded: bool) -> None:
    await library.ingest.work(ExtractTrigger())
    await cut_off(library, after=1)
    if loaded:
        await library.catch_up()
    await execute(library.source_dsn, "UPDATE loan SET fee = 77 WHERE loan_id % 100 = 1")
    await library.tick()
    again = [run for run in await series(library) if run.run > 1]
    assert again[-1].complete
    assert again[0].previous == 1
    assert sum(run.tables["loan"].rows for run in again) == LOANS
    assert await is_right(library)
    assert await rows(library.warehouse_dsn, DUPLICATED_LOANS) == []
    await library.tick()
    assert (await series(library))[-1].empty


async def test_a_full_extraction_that_was_cut_off_keeps_the_baseline(library: Pipeline) -> None:
    await library.tick()
    baseline = (await series(library))[-1].xmin_after
    done = len(await series(library))
    await execute(library.source_dsn, "UPDATE loan SET fee = 77 WHERE loan_id % 100 = 1")
    await library.ingest.work(ExtractTrigger(mode="full"))
    await cut_off(library, after=done + 1)
    await library.catch_up()
    await library.tick()
    last = (await series(library))[-1]
    assert last.xmin_before == baseline
    assert last.tables["loan"].rows == LOANS // 100
    assert await is_right(library)
    assert await rows(library.warehouse_dsn, DUPLICATED_LOANS) == []


async def test_a_run_of_a_superseded_extraction_is_skipped(library: Pipeline) -> None:
    await library.tick()
    done = len(await series(library))
    await library.ingest.work(ExtractTrigger(mode="full"))
    _, late, *_ = (run for run in await series(library) if run.run > done)
    await cut_off(library, after=done + 1)
    await execute(library.source_dsn, "UPDATE loan SET fee = 77")
    await library.tick()
    written = await rows(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan")
    # What ingest was just putting when it lost the source's lock.
    number = (await library.lake.claim_run_number()).last
    await library.lake.commit(late.model_copy(update={"run": number, "previous": (await series(library))[-1].run}))
    await library.catch_up()
    assert await is_right(library)
    await library.tick()
    assert await is_right(library)
    assert await rows(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan") == written


async def test_a_large_change_comes_in_several_runs_too(library: Pipeline) -> None:
    await library.tick()
    done = len(await series(library))
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 10", "UPDATE book SET shelf = 'Z'")
    await library.tick()
    assert len(await series(library)) > done + 1
    assert await rows(library.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_loan") == [(2 * LOANS,)]
    assert await is_right(library)


async def test_changes_that_lie_far_apart_share_a_part(library: Pipeline) -> None:
    await execute(library.source_dsn, "ALTER TABLE loan SET (fillfactor = 50)", "VACUUM FULL loan")
    await library.tick()
    first = await series(library)
    assert sum(len(run.tables["loan"].parts) for run in first) > 3
    await execute(library.source_dsn, "UPDATE loan SET fee = fee + 10 WHERE loan_id % 40 = 0")
    await library.tick()
    (changes,) = (await series(library))[len(first) :]
    assert changes.tables["loan"].rows == LOANS // 40
    assert len(changes.tables["loan"].parts) <= library.ingest.settings.connections
    assert await is_right(library)


async def test_a_dimension_comes_in_several_runs_whatever_the_order_of_its_keys(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source = await make_company(database(), scale=0.03)
    # What is updated goes to the end of the table: every part has keys from one end to the other.
    await execute(source, "UPDATE transaction SET last_updated = now() WHERE transaction_id % 3 = 0")
    limits = {"part_bytes": 8 * 1024, "run_bytes": 1, "full_connections": 1}
    async with Pipeline(COMPANY, data_plane, source, database(), **limits) as pipeline:
        for mode in ("changes", "full"):
            await pipeline.tick(mode)
            assert len([run for run in await series(pipeline) if "transaction" in run.tables]) > 1
            assert await is_right(pipeline)


async def test_a_part_is_bounded_however_much_one_statement_gives(library: Pipeline) -> None:
    limit = 32 * 1024
    library.ingest.settings = library.ingest.settings.model_copy(update={"scan_bytes": 2**30, "run_bytes": 2**30})
    await library.tick()
    quoted = """'a "quoted" name' || chr(10) || loan_id || repeat('x', 300)"""
    await execute(library.source_dsn, f"UPDATE loan SET reader = {quoted}")
    await library.tick()
    changes = (await series(library))[-1].tables["loan"]
    assert len(changes.parts) > 3
    assert changes.rows == LOANS
    # The last message of a part is as long as the driver's buffer.
    assert all(part.bytes < limit + 512 * 1024 for part in changes.parts)
    assert await is_right(library)

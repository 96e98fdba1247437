"""A fact whose dimension is missing is set apart, and its run stays one that can be loaded again."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.examples import long
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_shops, rows, verified
from totesys.triggers import RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

SALES = "SELECT sale_id, amount FROM warehouse.fact_sale ORDER BY sale_record_id"


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A source that takes sales of shops that it does not know."""
    source = await make_shops(
        database(),
        "ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey",
        "INSERT INTO ticket VALUES (1, 'paper', now())",
        "INSERT INTO sale VALUES (1, 1, 1, 10, NULL, now()), (2, 1, 1, 20, NULL, now())",
    )
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        await opened.tick()
        yield opened


async def sell(pipeline: Pipeline, *sales: tuple[int, int, int]) -> None:
    for sale, shop, amount in sales:
        await execute(pipeline.source_dsn, f"INSERT INTO sale VALUES ({sale}, {shop}, 1, {amount}, NULL, now())")
    await pipeline.tick()


@pytest.mark.parametrize("unknown", [2, *long(99)])
@pytest.mark.parametrize("orphans", [[3], [5], [3, 4, 5], [4, 5]])
async def test_a_run_with_unresolved_references_is_replayed_as_it_was(
    pipeline: Pipeline, orphans: list[int], unknown: int
) -> None:
    await sell(pipeline, *((sale, unknown if sale in orphans else 1, sale) for sale in (3, 4, 5)))
    await sell(pipeline, (6, unknown, 6), (7, 1, 7))
    before = await rows(pipeline.warehouse_dsn, SALES)
    assert [sale for sale, _ in before] == [sale for sale in range(1, 8) if sale not in {*orphans, 6}]
    for wakeup in (RunsTrigger(run=2), RunsTrigger(run=3), RunsTrigger(from_run=1, to_run=3), RunsTrigger(run=2)):
        await pipeline.load.work(wakeup)
        assert await rows(pipeline.warehouse_dsn, SALES) == before
    await sell(pipeline, (8, 1, 8))
    assert await rows(pipeline.warehouse_dsn, SALES) == [*before, (8, 8)]


async def test_an_unresolved_row_takes_its_place_when_its_dimension_row_arrives(pipeline: Pipeline) -> None:
    await sell(pipeline, (3, 1, 3), (4, 99, 4))
    await sell(pipeline, (5, 1, 5), (6, 99, 6))
    assert [row["sale_id"] for row in await pipeline.quarantine("fact_sale")] == ["4", "6"]
    assert await rows(pipeline.warehouse_dsn, SALES) == [(1, 10), (2, 20), (3, 3), (5, 5)]
    await execute(pipeline.source_dsn, "INSERT INTO shop VALUES (99, 'New', 1, now())")
    await pipeline.tick()
    found = await rows(pipeline.warehouse_dsn, SALES)
    assert found == [(1, 10), (2, 20), (3, 3), (4, 4), (5, 5), (6, 6)]
    assert await rows(pipeline.warehouse_dsn, "SELECT sum(rows_quarantined)::int FROM etl.run_table") == [(0,)]
    for wakeup in (RunsTrigger(from_run=2, to_run=3), RunsTrigger(from_run=1, to_run=4)):
        await pipeline.load.work(wakeup)
        assert await rows(pipeline.warehouse_dsn, SALES) == found


async def test_a_row_that_returns_to_its_values_before_an_unresolved_version_is_a_new_version(
    pipeline: Pipeline,
) -> None:
    await execute(pipeline.source_dsn, "UPDATE sale SET shop_id = 99 WHERE sale_id = 2")
    await pipeline.tick()
    await execute(pipeline.source_dsn, "UPDATE sale SET shop_id = 1 WHERE sale_id = 2")
    await pipeline.tick()
    await execute(pipeline.source_dsn, "INSERT INTO shop VALUES (99, 'New', 1, now())")
    await pipeline.tick()
    shops = "SELECT shop_id FROM warehouse.fact_sale WHERE sale_id = 2 ORDER BY sale_record_id"
    assert await rows(pipeline.warehouse_dsn, shops) == [(1,), (99,), (1,)]
    await pipeline.load.work(RunsTrigger(from_run=1, to_run=4))
    assert await rows(pipeline.warehouse_dsn, shops) == [(1,), (99,), (1,)]
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


async def test_an_unresolved_row_that_comes_again_unchanged_waits_once(pipeline: Pipeline) -> None:
    await sell(pipeline, (3, 99, 3))
    await execute(pipeline.source_dsn, "UPDATE sale SET shop_id = 99 WHERE sale_id = 2")
    for mode in ("changes", "full", "full"):
        await pipeline.tick(mode)
    await execute(pipeline.source_dsn, "INSERT INTO shop VALUES (99, 'New', 1, now())")
    await pipeline.tick()
    assert sorted(await rows(pipeline.warehouse_dsn, SALES)) == [(1, 10), (2, 20), (2, 20), (3, 3)]

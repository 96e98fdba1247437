"""A table that is rewritten while it is extracted loses no row."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from tests.models.shops import MODEL, SALE
from tests.pipeline import Pipeline
from tests.sources import make_shops, rows, verified
from totesys.connection import connect
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_ingest.source_connection import open_source

pytestmark = pytest.mark.postgres


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> Pipeline:
    """Sales on several pages, of which the first ones are empty: rewritten, the table's rows come to lie on these."""
    source = await make_shops(
        database(),
        "INSERT INTO ticket VALUES (1, 'paper', now())",
        "INSERT INTO sale SELECT n, 1, 1, n, repeat('x', 500), now() FROM generate_series(1, 200) AS n",
        "DELETE FROM sale WHERE sale_id <= 100",
    )
    return Pipeline(MODEL, data_plane, source, database(), part_bytes=8192)


async def test_no_row_moves_between_the_parts_of_an_extraction(pipeline: Pipeline) -> None:
    async with pipeline, connect("The source", pipeline.source_dsn, lock_timeout="100ms") as other:
        async with open_source(pipeline.source_dsn, "public") as holder:
            await holder.begin(MODEL.sources)
            with pytest.raises(asyncpg.LockNotAvailableError):
                await other.execute(f"VACUUM FULL {SALE.name}")
        await other.execute(f"VACUUM FULL {SALE.name}")
        await pipeline.tick()
        assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


async def test_a_table_that_is_just_being_rewritten_is_waited_for(pipeline: Pipeline) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sale'::regclass"
    async with (
        pipeline,
        connect("The source", pipeline.source_dsn) as other,
        asyncio.TaskGroup() as tasks,
        other.transaction(),
    ):
        await other.execute("LOCK TABLE sale IN ACCESS EXCLUSIVE MODE")
        tick = tasks.create_task(pipeline.tick())
        while not await other.fetchval(waiting):
            assert not tick.done()
            await asyncio.sleep(0.01)
        await other.execute("UPDATE sale SET amount = -1 WHERE sale_id = 200")
    # The snapshot is taken when all tables are at hand.
    newest = "SELECT amount FROM warehouse.fact_sale WHERE sale_id = 200"
    assert await rows(pipeline.warehouse_dsn, newest) == [(-1,)]

"""Capture from the source's log: each kind of change arrives in its own run, and where the log fails a scan serves."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_shops
from totesys.verify import verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import publication_statement

pytestmark = pytest.mark.postgres


@pytest.fixture
async def shops(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """Shops whose log is published, after the first two extractions."""
    source_dsn = await make_shops(
        database(), "INSERT INTO ticket SELECT n, 'paper', now() FROM generate_series(1, 9) AS n"
    )
    await execute(source_dsn, publication_statement(MODEL, "public", "totesys"))
    slot = source_dsn.rsplit("/", 1)[1]
    async with Pipeline(MODEL, data_plane, source_dsn, database(), capture="log", capture_slot=slot) as pipeline:
        await pipeline.tick()
        await pipeline.tick()
        yield pipeline


async def test_an_idle_tick_reads_the_log(shops: Pipeline) -> None:
    await execute(
        shops.source_dsn,
        "UPDATE ticket SET label = 'gold' WHERE ticket_id < 4",
        "DELETE FROM ticket WHERE ticket_id = 9",
    )
    await shops.tick()
    newest = await shops.lake.newest_manifest()
    print(newest)
    assert newest is not None and newest.deleted
    result = await verify(shops.source_dsn, shops.warehouse_dsn, MODEL)
    assert result.is_equal

"""Deletions, bad rows, orphans, drift and replays in any order: the warehouse is what the source's own SQL says."""

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from tests.examples import rounds
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.shops_history import SETUP, History
from tests.sources import execute, value
from totesys.postgres import connect
from totesys_cli.local.data_plane import DataPlane
from totesys_cli.source_database import create_source

pytestmark = pytest.mark.postgres

STEPS = 14


@pytest.fixture(params=rounds(2, 5))
async def history(
    request: pytest.FixtureRequest, seed: str, database: Callable[[], str], data_plane: DataPlane
) -> AsyncIterator[History]:
    """A few shops and tickets, in a source that takes what it should not."""
    source_dsn = database()
    async with connect("The source", source_dsn) as connection:
        await create_source(connection, MODEL)
    await execute(source_dsn, *SETUP)
    async with Pipeline(MODEL, data_plane, source_dsn, database()) as pipeline:
        yield History(Random(f"{seed}-{request.param}"), pipeline)


async def test_whatever_is_deleted_bad_orphaned_or_done_again_the_warehouse_is_what_the_source_was(
    history: History, database: Callable[[], str]
) -> None:
    await history.tick()
    for _ in range(STEPS):
        await history.step()
    await history.settle()
    assert await value(history.pipeline.warehouse_dsn, "SELECT count(*) FROM etl.run") > 0
    await history.rebuild(database())

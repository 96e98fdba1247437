"""Deletions, bad rows, orphans, drift and replays in any order: the warehouse is what the source's own SQL says."""

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from tests.examples import rounds
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.shops_history import History, make_open_shops
from tests.sources import value
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

STEPS = 14


@pytest.fixture(params=rounds(2, 5))
async def history(
    request: pytest.FixtureRequest, seed: str, database: Callable[[], str], data_plane: LocalDataPlane
) -> AsyncIterator[History]:
    """A few shops and tickets, in a source that takes what it should not."""
    source_dsn = await make_open_shops(database())
    async with Pipeline(MODEL, data_plane, source_dsn, database()) as pipeline:
        yield History(Random(f"{seed}-{request.param}"), pipeline)


async def test_whatever_is_deleted_invalid_unresolved_or_replayed_the_warehouse_is_what_the_source_was(
    history: History, database: Callable[[], str]
) -> None:
    await history.tick()
    for _ in range(STEPS):
        await history.step()
    await history.settle()
    assert await value(history.pipeline.warehouse_dsn, "SELECT count(*) FROM etl.run") > 0
    await history.rebuild(database())

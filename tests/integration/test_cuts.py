"""While the source is changed without a pause, every run is a cut that no transaction crosses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from random import Random

import pytest

from tests.examples import TIMES
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.sources import make_shops, rows, verified
from totesys.connection import connect
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

WRITERS = 4
PAIRS = 40
TICKS = 10 * TIMES
# An own last_updated that runs backwards: it must not matter.
MOMENT = "timestamp '2026-01-01' - interval '1 ms' * $1::int"


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """Each writer has pairs of sales, 2n and 2n + 1, which always have the same amount."""
    source = await make_shops(
        database(),
        "INSERT INTO ticket VALUES (1, 'paper', now())",
        f"INSERT INTO sale SELECT n, 1, 1, 0, NULL, now() FROM generate_series(0, {2 * WRITERS * PAIRS - 1}) AS n",
    )
    # A page a part, so that every connection that extracts has some of the rows.
    async with Pipeline(
        MODEL, data_plane, source, database(), part_bytes=8192, full_connections=3, connections=3
    ) as opened:
        yield opened


async def write(dsn: str, number: int, random: Random, enough: asyncio.Event) -> None:
    """Raise the amounts of this writer's pairs, both of a pair in one transaction, many of them overlapping."""
    amounts = count(1)
    async with connect("The source", dsn) as connection:
        while not enough.is_set():
            amount = next(amounts)
            first = 2 * (number * PAIRS + random.randrange(PAIRS))
            transaction = connection.transaction()
            await transaction.start()
            for sale in random.sample([first, first + 1], 2):
                await connection.execute(
                    f"UPDATE sale SET amount = $1::int, last_updated = {MOMENT} WHERE sale_id = $2", amount, sale
                )
                for _ in range(random.randrange(20)):
                    await connection.execute("SELECT")
            await (transaction.rollback() if random.random() < 0.1 else transaction.commit())


async def test_no_run_shows_half_a_transaction_and_no_state_comes_twice(pipeline: Pipeline, seed: str) -> None:
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(WRITERS):
            tasks.create_task(write(pipeline.source_dsn, number, Random(f"{seed}-{number}"), enough))
        for tick in range(TICKS):
            await pipeline.tick("full" if tick % 5 == 4 else "changes")
        enough.set()
    await pipeline.tick()
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    versions = await rows(
        pipeline.warehouse_dsn, "SELECT sale_id, amount FROM warehouse.fact_sale ORDER BY sale_record_id"
    )
    runs = await rows(
        pipeline.warehouse_dsn,
        "SELECT run, count(*) FROM warehouse.fact_sale JOIN etl.run_table ON table_name = 'fact_sale' "
        "AND sale_record_id BETWEEN first_record_id AND last_record_id GROUP BY run ORDER BY run",
    )
    assert sum(size for _, size in runs) == len(versions)
    check_cuts(versions, [size for _, size in runs])


def check_cuts(versions: list[tuple[int, int]], sizes: list[int]) -> None:
    amounts: dict[int, int] = {}
    waiting = iter(versions)
    for size in sizes:
        for _ in range(size):
            sale, amount = next(waiting)
            assert amount > amounts.get(sale, -1)
            amounts[sale] = amount
        assert all(amounts[sale] == amounts[sale + 1] for sale in amounts if sale % 2 == 0)

"""Random histories, replayed at random by releases that differ: what is left is what a rebuild makes of the lake."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import polars as pl
import pytest
from pydantic import SecretStr

from tests.examples import rounds
from tests.models.shops import DIM_SHOP, DIM_TICKET, MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, rows, value
from totesys.connection import Connection, connect
from totesys.schema import Model
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source
from totesys_cli.warehouse_comparison import compare, content
from totesys_load.load_stage import Load

pytestmark = pytest.mark.postgres

KEYS = 6
SETUP = (
    "ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey, DROP CONSTRAINT sale_ticket_id_fkey",
    "INSERT INTO region VALUES (1, 'North', now())",
    "INSERT INTO shop SELECT n, '0', 1, now() FROM generate_series(1, 3) AS n",
    "INSERT INTO ticket SELECT n, '0', now() FROM generate_series(1, 3) AS n",
)
# The count of changes that a text begins with; behind it is the release that made it.
CHANGES = """SELECT 'ticket', ticket_id, split_part(label, '/', 1)::int FROM warehouse.dim_ticket
             UNION ALL SELECT 'shop', shop_id, split_part(shop_name, '/', 1)::int FROM warehouse.dim_shop"""
SALES = "SELECT sale_id, ticket_id, amount FROM sales.fact_sale_current ORDER BY 1"

ORPHANS = "SELECT table_name, id, run, row FROM etl.orphan ORDER BY 1, 2, 3"


def release(number: int) -> Model:
    """The model as a release has it: each writes another text."""

    def ticket(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(pl.col("label") + f"/{number}")

    def shop(shop: pl.LazyFrame, region: pl.LazyFrame) -> pl.LazyFrame:
        return shop.join(region, on="region_id", how="left").with_columns(pl.col("shop_name") + f"/{number}")

    other = {"dim_ticket": replace(DIM_TICKET, build=ticket), "dim_shop": replace(DIM_SHOP, build=shop)}
    return replace(MODEL, tables=tuple(other.get(table.name, table) for table in MODEL.tables))


class History:
    """Changes and replays that a seed decides. Every text counts the changes of the source."""

    def __init__(self, random: Random, pipeline: Pipeline) -> None:
        self.random = random
        self.pipeline = pipeline
        self.changes = 0
        self.releases = 0

    async def tick(self) -> None:
        await execute(self.pipeline.source_dsn, *(self.change() for _ in range(self.random.randint(1, 4))))
        await self.pipeline.tick(self.random.choice(["changes", "changes", "changes", "sweep", "full"]))

    def change(self) -> str:
        self.changes += 1
        key, other, text = self.random.randint(1, KEYS), self.random.randint(1, KEYS), f"'{self.changes}'"
        made = {
            "ticket": f"VALUES ({key}, {text}, now()) ON CONFLICT (ticket_id) DO UPDATE SET label = {text}",
            "shop": f"VALUES ({key}, {text}, 1, now()) ON CONFLICT (shop_id) DO UPDATE SET shop_name = {text}",
            "sale": f"VALUES ({self.changes}, {other}, {key}, 1, NULL, now())",
        }
        return self.random.choice(
            [
                *(f"INSERT INTO {table} {row}" for table, row in made.items()),
                f"UPDATE ticket SET label = {text} WHERE ticket_id = {key}",
                f"UPDATE ticket SET last_updated = now() WHERE ticket_id = {key}",
                f"DELETE FROM ticket WHERE ticket_id = {key}",
                f"DELETE FROM shop WHERE shop_id = {key}",
                f"UPDATE sale SET amount = amount + 1, ticket_id = {key} WHERE sale_id % 3 = {key % 3}",
            ]
        )

    async def forget(self) -> None:
        """As if an earlier release, which noted no keys, had loaded some of the runs."""
        first, last = await self.some_runs()
        await execute(
            self.pipeline.warehouse_dsn,
            f"DELETE FROM etl.dimension_key WHERE run BETWEEN {first} AND {last}",
            f"UPDATE etl.run_table SET keys_noted = false WHERE run BETWEEN {first} AND {last}",
        )

    async def some_runs(self) -> tuple[int, int]:
        runs = [row[0] for row in await rows(self.pipeline.warehouse_dsn, "SELECT run FROM etl.run")]
        first, last = sorted(self.random.choices(runs, k=2))
        return first, last

    async def replay(self) -> None:
        """Another release does some runs again; while load does, new runs may come."""
        self.releases += 1
        first, last = await self.some_runs()
        wakeup = RunsTrigger(from_run=first, to_run=last)
        self.pipeline.transform.model = release(self.releases)
        if self.random.random() < 0.8:
            await self.pipeline.transform.work(wakeup)
        async with watched(self.pipeline.warehouse_dsn):
            await self.pipeline.load.work(wakeup)

    async def is_as_rebuilt(self, warehouse: str) -> None:
        settings = self.pipeline.load.settings.model_copy(update={"warehouse_dsn": SecretStr(warehouse)})
        await Load(settings, self.pipeline.lake, MODEL).work(RECONCILE)
        ours, rebuilt = [
            await content("A warehouse", dsn, "warehouse", MODEL, lambda _: None)
            for dsn in (self.pipeline.warehouse_dsn, warehouse)
        ]
        # Of an orphan the reasons may differ: they say what was missing when its run was loaded, or loaded again.
        assert [one for one in compare(ours, rebuilt) if not one.equal and one.table != "etl.orphan"] == []
        assert await rows(self.pipeline.warehouse_dsn, ORPHANS) == await rows(warehouse, ORPHANS)


@asynccontextmanager
async def watched(warehouse: str) -> AsyncIterator[None]:
    """While the block replays, no reader sees an older row of a dimension, or other current facts."""
    async with connect("The warehouse", warehouse) as reader:
        seen, sales = await changes(reader), await reader.fetch(SALES)
        watching = asyncio.create_task(_watch(reader, seen, sales))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if not watching.cancelled():
            watching.result()


async def _watch(reader: Connection, seen: Mapping[tuple[str, int], int], sales: Sequence[object]) -> None:
    while True:
        found = await changes(reader)
        assert {key: count for key, count in found.items() if key in seen} == seen
        assert await reader.fetch(SALES) == sales
        await asyncio.sleep(0)


async def changes(reader: Connection) -> dict[tuple[str, int], int]:
    return {(row[0], row[1]): row[2] for row in await reader.fetch(CHANGES)}


@pytest.fixture(params=rounds(1, 12))
async def history(
    request: pytest.FixtureRequest, seed: str, database: Callable[[], str], data_plane: LocalDataPlane
) -> AsyncIterator[History]:
    source_dsn = database()
    async with connect("The source", source_dsn) as connection:
        await create_source(connection, MODEL)
    await execute(source_dsn, *SETUP)
    async with Pipeline(release(0), data_plane, source_dsn, database()) as pipeline:
        yield History(Random(f"{seed}-{request.param}"), pipeline)


async def test_what_random_replays_leave_is_what_a_rebuild_makes_of_the_lake(
    history: History, database: Callable[[], str]
) -> None:
    await history.tick()
    for _ in range(5):
        for _ in range(history.random.randint(1, 4)):
            await history.tick()
        if history.random.random() < 0.5:
            await history.forget()
        for _ in range(history.random.randint(1, 2)):
            await history.replay()
        await history.is_as_rebuilt(database())
    assert await value(history.pipeline.warehouse_dsn, "SELECT count(*) FROM etl.dimension_key") > 0

"""A query reads the same runs of every table, however long the engine takes to resolve one table after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest

from tests.lakehouse_stack import NAMESPACE, LakehousePipeline
from tests.models.shops import MODEL
from tests.shops_history import make_open_shops
from tests.sources import execute
from totesys.triggers import RECONCILE
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_lakehouse import run_batches
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import LEDGER, lakehouse_tables
from totesys_lakehouse.lakehouse_views import view_script
from totesys_lakehouse.view_dialects import DUCKDB
from totesys_lakehouse.view_queries import MARGIN_SECONDS, Queries

pytestmark = pytest.mark.long

RUNS = 25
READERS = 3
# How long an engine may take from one table to the next: several commits.
SLOWEST_SECONDS = 0.8
TABLES = lakehouse_tables(MODEL)


@dataclass(frozen=True)
class Read:
    """What a query that began at `start` finds: each table as it was when the engine resolved it."""

    start: datetime
    tables: dict[str, pa.Table]

    def counts(self, ago: str, margin: int = 0) -> tuple[int, int]:
        """Rows of the two facts, which every transaction of the source changes together."""
        dialect = replace(DUCKDB, ago=ago)
        with duckdb.connect() as database:
            database.execute(f"CREATE SCHEMA {NAMESPACE}")
            for name, rows in self.tables.items():
                database.register(f"pinned_{name}", rows)
                database.execute(f'CREATE VIEW {NAMESPACE}."{name}" AS SELECT * FROM pinned_{name}')
            database.execute(view_script(Queries(MODEL, dialect, NAMESPACE, margin_seconds=margin)))
            count = f"SELECT (SELECT count(*) FROM {NAMESPACE}_sales.fact_sale_current), "
            row = database.sql(f"{count}(SELECT count(*) FROM {NAMESPACE}_refunds.fact_refund_current)").fetchone()
        assert row is not None
        return row[0], row[1]

    def by_our_rule(self) -> tuple[int, int]:
        """Runs that were committed before the query began, minus the margin."""
        return self.counts(
            f"TIMESTAMP '{self.start:%Y-%m-%d %H:%M:%S.%f}' - INTERVAL {{seconds}} SECOND", MARGIN_SECONDS
        )

    def by_the_naive_rule(self) -> tuple[int, int]:
        """All runs that the ledger has when it is resolved."""
        return self.counts("TIMESTAMP '9999-01-01'")


@pytest.fixture
async def shops(
    database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehousePipeline]:
    """A lake of RUNS runs; each brings as many sales as refunds."""
    source_dsn = await make_open_shops(database())
    async with LakehousePipeline(MODEL, data_plane, source_dsn, database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        for run in range(1, RUNS + 1):
            sale = f"INSERT INTO sale VALUES ({run}, 1, 1, 1, NULL, now())"
            await execute(source_dsn, f"{sale}; INSERT INTO refund VALUES ({run}, 1, 1, now())")
            await pipeline.tick_without_lakehouse()
        yield pipeline


async def test_a_slow_query_never_sees_half_a_run_and_by_the_naive_rule_it_would(
    shops: LakehousePipeline, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    monkeypatch.setattr(run_batches, "MOST_RUNS", 1)
    writing = asyncio.create_task(shops.lakehouse.work(RECONCILE))
    reads = await asyncio.gather(*(read_until(writing, shops, Random(f"{seed}-{n}")) for n in range(READERS)))
    await writing

    found = [read for several in reads for read in several]
    ours = [read.by_our_rule() for read in found]
    naive = [read.by_the_naive_rule() for read in found]
    print(f"{len(found)} reads; torn by our rule {torn(ours)}, by the naive rule {torn(naive)}")
    assert torn(ours) == 0
    assert torn(naive) > 0
    assert len(set(ours)) > 2


def torn(counts: list[tuple[int, int]]) -> int:
    return sum(sales != refunds for sales, refunds in counts)


async def read_until(writing: "asyncio.Task[None]", shops: LakehousePipeline, random: Random) -> list[Read]:
    """Read again and again until everything is written."""
    reads = []
    while not writing.done():
        with closing(shops.store()) as store:
            if not await asyncio.to_thread(has_runs, store):
                await asyncio.sleep(0.1)
                continue
            start, tables = datetime.now(UTC), {}
            for table in random.sample(TABLES, len(TABLES)):
                tables[table.name] = await asyncio.to_thread(store.scan, table.name, table.column_names, upto=10**8)
                await asyncio.sleep(random.random() * SLOWEST_SECONDS)
            reads.append(Read(start, tables))
    return reads


def has_runs(store: IcebergStore) -> bool:
    found = store.catalog.table_exists((NAMESPACE, LEDGER)) and store.last_run(LEDGER) > 0
    store.forget()
    return found

"""Spark's SQL over the Glue catalog shows what the Postgres warehouse shows. Sail runs it: Spark's protocol and SQL."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from random import Random

import pytest

from tests.lakehouse_stack import LakehouseHistory, LakehousePipeline
from tests.models.shops import MODEL
from tests.shops_history import make_open_shops
from tests.sources import execute
from tests.spark.sail import SparkReader, spark_session
from totesys.triggers import RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import SERVICES
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra import data_plane_template
from totesys_lakehouse.lakehouse_tables import lakehouse_tables
from totesys_lakehouse.table_upkeep import FEWEST_FILES, UpkeepRules, maintain

STEPS = 6
AT_ONCE = UpkeepRules(timedelta(0), timedelta(0))


@pytest.fixture(scope="session")
def plane() -> Iterator[LocalDataPlane]:
    """A data plane with Glue."""
    with Emulator.start(services=(*SERVICES, "glue")) as emulator:
        yield emulator.apply(data_plane_template(), "spark")


@pytest.fixture
async def history(seed: str, database: Callable[[], str], plane: LocalDataPlane) -> AsyncIterator[LakehouseHistory]:
    source = await make_open_shops(database())
    async with LakehousePipeline(MODEL, plane, source, database()) as pipeline:
        pipeline.begin("glue")
        yield LakehouseHistory(Random(f"{seed}-spark"), pipeline)


async def test_whatever_happens_spark_shows_what_the_warehouse_shows(
    history: LakehouseHistory, plane: LocalDataPlane
) -> None:
    await history.tick()
    with spark_session(plane) as spark:
        for _ in range(STEPS):
            await history.step()
            await history.check(SparkReader(spark, history.pipeline.namespace, MODEL))
        for number in range(FEWEST_FILES):
            await execute(history.pipeline.source_dsn, f"UPDATE ticket SET label = 'edition {number}'")
            await history.tick()
        await history.pipeline.catch_up(RunsTrigger(from_run=1, to_run=STEPS // 2))
        store = history.pipeline.store()
        assert sum(maintain(store, table, AT_ONCE).files_joined for table in lakehouse_tables(MODEL)) > 0
        await history.check(SparkReader(spark, history.pipeline.namespace, MODEL))

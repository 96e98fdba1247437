"""Deletions, bad rows, unresolved references, drift, replays: the lakehouse shows what the warehouse shows."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from tests.examples import rounds
from tests.lakehouse_stack import LakehouseHistory, LakehousePipeline, duckdb_reader
from tests.models.shops import MODEL
from tests.shops_history import make_open_shops
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.long

STEPS = 10


@pytest.fixture(params=rounds(1, 2))
async def history(
    request: pytest.FixtureRequest, seed: str, database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehouseHistory]:
    source_dsn = await make_open_shops(database())
    async with LakehousePipeline(MODEL, data_plane, source_dsn, database()) as pipeline:
        pipeline.begin(f"sqlite:///{tmp_path}/catalog.sqlite")
        yield LakehouseHistory(Random(f"{seed}-lakehouse-{request.param}"), pipeline)


async def test_whatever_happens_the_lakehouse_shows_what_the_warehouse_shows(
    history: LakehouseHistory, data_plane: LocalDataPlane, tmp_path: Path
) -> None:
    await history.tick()
    bases: dict[str, pa.Table] = {}
    for number in range(STEPS):
        await history.step()
        if number % 2:
            continue
        with duckdb_reader(MODEL, data_plane, history.pipeline.catalog_dsn) as reader:
            await history.check(reader)
            if bases:
                reader.use_bases(bases)
                await history.pipeline.check(reader)
            if number % 4 == 2:
                bases = reader.build_bases()
    history.pipeline.begin(
        f"sqlite:///{tmp_path}/rebuilt.sqlite", lakehouse_location=f"s3://{data_plane.processed_bucket}/rebuilt"
    )
    await history.pipeline.catch_up()
    with duckdb_reader(MODEL, data_plane, history.pipeline.catalog_dsn) as reader:
        await history.pipeline.check(reader)

"""A library's lake with some runs, and a catalog of each kind for its lakehouse."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.faulty_aws import FaultyAws, faulty_aws
from tests.lakehouse_stack import LakehousePipeline
from tests.models.library import MODEL
from tests.sources import execute, make_library
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import SERVICES
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra import data_plane_template

RUNS = 4
_numbers = count(1)


@pytest.fixture(scope="session")
def glue() -> Iterator[Emulator]:
    """An emulator that also serves Glue."""
    with Emulator.start(services=(*SERVICES, "glue")) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres", "glue"])
async def library(
    request: pytest.FixtureRequest, database: Callable[[], str], data_plane: LocalDataPlane, tmp_path: Path
) -> AsyncIterator[LakehousePipeline]:
    """A library's lake with RUNS runs, the last one a deletion sweep; its lakehouse has none of them."""
    plane, catalog, namespace = data_plane, f"sqlite:///{tmp_path}/catalog.sqlite", "lakehouse"
    if request.param == "glue":
        emulator = request.getfixturevalue("glue")
        number = next(_numbers)
        plane, catalog = emulator.apply(data_plane_template(), f"glue-{number}"), "glue"
        namespace = f"lakehouse_{number}"
    elif request.param == "postgres":
        catalog = database()
    source = await make_library(database())
    async with LakehousePipeline(MODEL, plane, source, database()) as pipeline:
        pipeline.begin(catalog, lakehouse_namespace=namespace)
        await fill(pipeline)
        yield pipeline


async def fill(pipeline: LakehousePipeline) -> None:
    """Let the pipeline have its runs, without the lakehouse."""
    changes = (
        "UPDATE loan SET fee = fee + 1",
        "UPDATE book SET title = title || '!' WHERE book_id = 1",
        "DELETE FROM loan WHERE loan_id = 2",
    )
    await pipeline.tick_without_lakehouse()
    for number, change in enumerate(changes, start=2):
        await execute(pipeline.source_dsn, change)
        await pipeline.tick_without_lakehouse("sweep" if number == RUNS else "changes")


@pytest.fixture
async def aws(emulator: Emulator) -> AsyncIterator[FaultyAws]:
    """A proxy in front of the emulator that breaks nothing yet."""
    async with faulty_aws(emulator.endpoint_url, seed=20261130) as proxy:
        yield proxy

"""The library's pipeline in the test's own process, a lake on a bad day, a role with no rights, a server's folder."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.faulty_aws import FaultyAws, faulty_aws
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library
from totesys.lake.store import Lake
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres


@pytest.fixture
async def library(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A pipeline of the library, which has run nothing yet."""
    async with Pipeline(MODEL, data_plane, await make_library(database()), database()) as pipeline:
        yield pipeline


@pytest.fixture
async def aws(emulator: Emulator) -> AsyncIterator[FaultyAws]:
    """A proxy in front of the emulator that breaks nothing yet."""
    async with faulty_aws(emulator.endpoint_url, seed=20261124) as proxy:
        yield proxy


@pytest.fixture
async def faulty_lake(aws: FaultyAws, data_plane: LocalDataPlane) -> AsyncIterator[Lake]:
    """A lake behind the proxy that has had no run."""
    async with Pipeline(MODEL, aws.in_front_of(data_plane), "unused", "unused") as pipeline:
        yield pipeline.lake


@pytest.fixture
async def visitor(postgres: ReachablePostgres) -> AsyncIterator[str]:
    """A role that may do nothing but connect; its password is its name."""
    await execute(postgres.dsn(), "CREATE ROLE visitor LOGIN PASSWORD 'visitor'")
    yield "visitor"
    await execute(postgres.dsn(), "DROP ROLE visitor")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below one that every account can enter, as Postgres needs it where this runs as root."""
    path = Path(tempfile.mkdtemp(prefix="totesys-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)

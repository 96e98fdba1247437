"""The library's pipeline in the test's own process, a role with no rights, and a folder for a server."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library
from totesys_cli.local.data_plane import DataPlane
from totesys_cli.local.postgres import PostgresServer


@pytest.fixture
async def library(database: Callable[[], str], data_plane: DataPlane) -> AsyncIterator[Pipeline]:
    """A pipeline of the library, which has run nothing yet."""
    async with Pipeline(MODEL, data_plane, await make_library(database()), database()) as pipeline:
        yield pipeline


@pytest.fixture
async def visitor(postgres: PostgresServer) -> AsyncIterator[str]:
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

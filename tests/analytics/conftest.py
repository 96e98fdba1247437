"""The generated company of seed 1, loaded, and an analyst's login for it."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.command import Command
from tests.pipeline import Pipeline
from totesys.connection import connect
from totesys.model import MODEL
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.source_database import create_source
from totesys_infra import data_plane_template
from totesys_simulation import fill

ANALYST, PASSWORD = "ada", "it's @ secret"


@dataclass(frozen=True)
class Warehouse:
    """A warehouse: its owner's DSN, and the environment of an analyst who connects with psql's variables."""

    owner: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
async def warehouse(
    postgres: ReachablePostgres, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Warehouse]:
    source, owner = (postgres.create_database(f"analytics_{name}") for name in ("source", "warehouse"))
    async with connect("The source", source) as connection:
        await create_source(connection, MODEL)
        await fill(connection, seed=1)
    async with Pipeline(MODEL, emulator.apply(data_plane_template(), "test-analytics"), source, owner) as pipeline:
        await pipeline.tick()
    command = Command(tmp_path_factory.mktemp("command"))
    command.settings = {"TOTESYS_WAREHOUSE_DSN": owner, "TOTESYS_ANALYST_PASSWORD": PASSWORD}
    made = command("local", "reader", ANALYST)
    assert made.code == 0, made.err
    where = urlsplit(owner)
    connection_variables = {
        "PGHOST": str(where.hostname),
        "PGPORT": str(where.port),
        "PGUSER": ANALYST,
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": where.path.strip("/"),
    }
    yield Warehouse(owner, {"PATH": os.environ["PATH"], "HOME": str(Path.home()), **connection_variables})
    for name in ("source", "warehouse"):
        postgres.drop_database(f"analytics_{name}")

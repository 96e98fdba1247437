"""SIGTERM in the middle of a large run: the service ends with 0, soon, and another replica completes the run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.examples import long
from tests.faults.conftest import OutcomeOf
from tests.faults.replica import Replica
from tests.faults.wires import Moment, When
from tests.faults.world import DSN_SETTINGS
from tests.processes import environment
from tests.sources import make_company, until_there_is, verified
from totesys.connection import connect
from totesys.model import MODEL
from totesys.stage_names import STAGES
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres

# In the middle of the work of each stage.
MOMENTS = {
    "ingest": Moment(When.AFTER, "put part"),
    "transform": Moment(When.AFTER, "put part"),
    "load": Moment(When.BEFORE, "COPY data"),
}
GRACES = {"with a grace": "PT10S", "without a grace": "PT0S"}


@pytest.fixture(scope="module")
async def large_source(postgres: ReachablePostgres, pytestconfig: pytest.Config) -> str:
    """The company's generated past: every test extracts all of it, and none changes it."""
    return await make_company(postgres.create_database("sigterm"), scale=pytestconfig.getoption("--large"))


@pytest.mark.parametrize(
    ("stage", "grace"),
    [
        ("ingest", "with a grace"),
        ("transform", "without a grace"),
        ("load", "without a grace"),
        *long(("ingest", "without a grace"), ("transform", "with a grace"), ("load", "with a grace")),
    ],
)
async def test_sigterm_in_the_middle_of_a_large_run_ends_with_0_and_another_replica_completes_it(
    emulator: Emulator,
    data_plane: LocalDataPlane,
    large_source: str,
    database: Callable[[], str],
    tmp_path: Path,
    outcome_of: OutcomeOf,
    stage: str,
    grace: str,
) -> None:
    """The time between the signal and the end is what the table shows as recovery."""
    outcome = outcome_of(f"SIGTERM to {stage} in a large run, {grace}")
    warehouse = database()

    @asynccontextmanager
    async def running(name: str, **settings: str) -> AsyncIterator[Replica]:
        dsns = {"source_dsn": large_source, "warehouse_dsn": warehouse}
        replica = Replica(name, environment(name, data_plane, **dsns, **settings), tmp_path / f"{name}{len(settings)}")
        async with replica.wired(emulator.endpoint_url, DSN_SETTINGS[name]):
            await replica.start()
            yield replica
            await replica.stop()

    others = [name for name in STAGES if name != stage]
    async with running(others[0]), running(others[1]):
        async with running(stage, shutdown_grace=GRACES[grace]) as stopped:
            stopping = asyncio.create_task(stopped.stopped_at(MOMENTS[stage]))
            emulator.sqs.send_message(QueueUrl=data_plane.ingest_queue_url, MessageBody="{}")
            code, seconds = await stopping
        assert code == 0
        outcome.recoveries.append(seconds)
        outcome.rounds += 1
        async with running(stage), connect("The warehouse", warehouse) as connection:
            await until_there_is(connection, "SELECT WHERE to_regclass('etl.run') IS NOT NULL")
            await until_there_is(connection, "SELECT FROM etl.run WHERE complete")
            outcome.runs = await connection.fetchval("SELECT count(*) FROM etl.run")
    assert await verified(large_source, warehouse, MODEL)

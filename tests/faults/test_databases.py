"""Databases that stop, break off, are full or are held up by others: the services wait, and nothing is lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.examples import long
from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.wires import Moment, When
from tests.faults.world import World
from tests.sources import execute
from totesys.connection import connect
from totesys.log_events import LogEvent
from totesys.sql import ident
from totesys_cli.local.local_postgres import PostgresServer
from totesys_load.warehouse_connection import LOCK

LONGEST_OUTAGE = 3.0
CUTS = {
    "ingest": [Moment(When.BEFORE, "COPY"), Moment(When.AFTER, "COPY")],
    "load": [
        Moment(When.AFTER, "COPY"),
        Moment(When.BEFORE, "COPY data"),
        Moment(When.BEFORE, "commit"),
        Moment(When.AFTER, "commit"),
    ],
}
FULL = """
    CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left'; END $$;
"""


@pytest.fixture(scope="module")
async def world(worlds: Worlds) -> AsyncIterator[World]:
    async with worlds("databases", lock_timeout="PT1S") as world:
        yield world


@pytest.mark.parametrize("which", ["warehouse", *long("source")])
async def test_a_database_that_stops_is_waited_for(
    worlds: Worlds, folder: Path, outcome_of: OutcomeOf, rounds: int, random: Random, which: str
) -> None:
    """Stopped in order, and crashed, in turns."""
    outcome = outcome_of(f"{which} stopped or crashed, and started again")
    home = folder / f"{which}-server"
    server = PostgresServer.start(home, durable=False)
    async with worlds(f"stopped_{which}", **{which: server}) as world, world.trial(outcome):
        for turn in range(2 * rounds):
            await asyncio.sleep(random.uniform(0, 1))
            if turn % 2:
                os.kill(server.pid, signal.SIGKILL)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(random.uniform(0, LONGEST_OUTAGE))
            server = await asyncio.to_thread(PostgresServer.start, home, port=server.port, durable=False)
            outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1
    server.stop()


@pytest.mark.parametrize("stage", list(CUTS))
async def test_a_connection_cut_in_the_middle_loses_nothing(
    world: World, outcome_of: OutcomeOf, rounds: int, stage: str
) -> None:
    outcome = outcome_of(f"{stage}'s connection cut in the middle of COPY and commit")
    async with world.trial(outcome):
        for moment in CUTS[stage] * rounds:
            await world.replica(stage).cut_at(moment)
            cut = time.monotonic()
            outcome.recoveries.append(await world.recovery(cut))
            outcome.rounds += 1


async def test_a_full_disk_is_waited_for(world: World, outcome_of: OutcomeOf, rounds: int) -> None:
    outcome = outcome_of("the warehouse's disk full at COPY")
    table = 'warehouse."fact_audit"'
    await execute(world.warehouse, FULL)
    async with world.trial(outcome):
        for _ in range(rounds):
            trigger = (
                f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION no_space()"
            )
            await execute(world.warehouse, trigger)
            await world.replica("load").event(LogEvent.MESSAGE_FAILED, next="again", kind="DatabaseUnavailable")
            await execute(world.warehouse, f"DROP TRIGGER full_disk ON {table}")
            outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1
    await execute(world.warehouse, "DROP FUNCTION no_space")


@pytest.mark.parametrize("which", ["source", *long("warehouse")])
async def test_a_cancelled_statement_is_tried_again(
    world: World, outcome_of: OutcomeOf, rounds: int, which: str
) -> None:
    outcome = outcome_of(f"statement cancelled in the {which}")
    dsn = world.source if which == "source" else world.warehouse
    async with world.trial(outcome), connect("The database", dsn) as connection:
        for _ in range(rounds):
            cancelled = 0
            while not cancelled:
                cancelled = await connection.fetchval(
                    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
                    "WHERE state = 'active' AND query LIKE 'COPY%' AND datname = current_database()"
                )
            outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1


@pytest.mark.parametrize("lock", ["a fact", *long("the load's lock")])
async def test_a_lock_that_others_hold_is_waited_for(
    world: World, outcome_of: OutcomeOf, rounds: int, lock: str
) -> None:
    outcome = outcome_of(f"{lock} held by others in the warehouse")
    take = (
        f"SELECT pg_advisory_xact_lock({LOCK})"
        if lock == "the load's lock"
        else f"LOCK warehouse.{ident('fact_payment')}"
    )
    async with world.trial(outcome), connect("The warehouse", world.warehouse) as other:
        for _ in range(rounds):
            async with other.transaction():
                await other.execute(take)
                await world.replica("load").event(LogEvent.MESSAGE_FAILED, next="again", kind="DatabaseUnavailable")
            outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1

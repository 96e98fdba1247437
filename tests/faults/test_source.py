"""The source's server is replaced, goes back in time, or keeps a transaction open: nothing is lost or comes twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from tests.examples import alone
from tests.faults.audited import MODEL
from tests.faults.conftest import OutcomeOf, Worlds
from tests.servers import Server
from tests.sources import execute, verified
from totesys.connection import connect
from totesys.log_events import LogEvent

PASS = "DO $$ BEGIN FOR i IN 1..500 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
_numbers = count(1)


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[Server]:
    server = Server(folder / f"source-{next(_numbers)}")
    await server.configure(max_prepared_transactions="10", max_connections="60")
    yield server
    server.stop()


async def test_a_transaction_that_is_left_open_holds_nothing_back(
    worlds: Worlds, server: Server, outcome_of: OutcomeOf, rounds: int
) -> None:
    outcome = outcome_of("a transaction left prepared over a restart of the source")
    async with worlds("left_open", source=server.running, capture="log") as world, world.trial(outcome):
        for turn in range(rounds):
            async with connect("The source", world.source) as connection:
                await connection.execute("BEGIN; UPDATE sales_order SET units_sold = 1 WHERE sales_order_id = 100")
                await connection.execute(f"PREPARE TRANSACTION 'left{turn}'")
            await asyncio.to_thread(server.restart)
            outcome.recoveries.append(await world.recovery())
            await execute(world.source, f"COMMIT PREPARED 'left{turn}'")
            outcome.rounds += 1


@pytest.mark.parametrize("lags", [False, *alone(True)], ids=["that has everything", "that lags at first"])
async def test_a_standby_in_the_place_of_its_primary_goes_on(
    worlds: Worlds, folder: Path, server: Server, outcome_of: OutcomeOf, rounds: int, lags: bool
) -> None:
    outcome = outcome_of(f"a standby {'that lags' if lags else 'that has everything'} in its primary's place")
    name = "lags" if lags else "taken_over"
    async with worlds(name, source=server.running, capture="log") as world, world.trial(outcome):
        for _ in range(rounds):
            standby = await asyncio.to_thread(server.standby, folder / f"source-{next(_numbers)}")
            if lags:
                await execute(standby.dsn(), "ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
            await world.until_loaded(2)
            await asyncio.to_thread(standby.take_port_of, server)
            if lags:
                await world.replica("ingest").event(LogEvent.MESSAGE_FAILED, next="again", kind="DatabaseUnavailable")
            await execute(standby.dsn(), "SELECT pg_promote()")
            outcome.recoveries.append(await world.recovery())
            server.folder, server.running = standby.folder, standby.running
            outcome.rounds += 1


async def test_a_disk_that_goes_back_is_found_while_services_run(
    worlds: Worlds, server: Server, outcome_of: OutcomeOf, rounds: int
) -> None:
    outcome = outcome_of("the source's disk went back, and the source on past where it was")
    async with worlds("went_back", source=server.running, capture="log") as world:
        for _ in range(rounds):
            kept = await asyncio.to_thread(server.keep)
            await execute(world.source, "UPDATE payment SET paid = NOT paid WHERE payment_id <= 20")
            await world.recovery()
            await asyncio.to_thread(kept.restore)
            await execute(world.source, PASS)
            started = time.monotonic()
            # What is gone with the past is known to be gone.
            await world.send(world.plane.ingest_queue_url, '{"mode": "sweep"}')
            await world.until_loaded(1)
            outcome.recoveries.append(time.monotonic() - started)
            outcome.rounds += 1
            assert await verified(world.source, world.warehouse, MODEL)

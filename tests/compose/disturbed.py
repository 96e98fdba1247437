"""A stack in the middle of a run, so that something can happen to it there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import asyncpg
import httpx

from tests.compose.stack import TOKEN, Stack
from tests.compose.truth import eventually
from totesys.log_events import LogEvent
from totesys.model import MODEL
from totesys.sql import ident
from totesys_simulation import simulate

# What a service logs when the one before it has given it a run to do.
BEGINS = {
    "ingest": ("ingest", LogEvent.EXTRACTION_STARTED),
    "transform": ("ingest", LogEvent.RUN_COMPLETED),
    "load": ("transform", LogEvent.RUN_COMPLETED),
}
CHANGES_A_SECOND = 300.0
SECONDS_OF_CHANGES = 2.0


@dataclass(frozen=True)
class AtWork:
    """A service that has begun with a run; `ended` runs were through before."""

    stack: Stack
    service: str
    ended: int

    def has_ended(self) -> bool:
        """Whether it has logged a run's end since."""
        return len(self.stack.events(self.service, LogEvent.RUN_COMPLETED)) > self.ended


@asynccontextmanager
async def held_in_a_load(stack: Stack, random: Random) -> AsyncIterator[None]:
    """While this is entered no load ends: each waits, in its transaction, for a fact that is locked.

    It may be left with the warehouse gone.
    """
    fact = ident(random.choice(MODEL.facts).name)
    connection = await asyncpg.connect(stack.dsn("warehouse"))
    try:
        await connection.execute(f"BEGIN; LOCK TABLE warehouse.{fact} IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        connection.terminate()


async def at_work(stack: Stack, service: str, random: Random) -> AtWork:
    """Change the source, ask for an extraction of everything, and wait until `service` has begun with it."""
    await simulate(stack.dsn("source"), rate=CHANGES_A_SECOND, seconds=SECONDS_OF_CHANGES, seed=random.randrange(2**31))
    begun, ended = len(stack.events(*BEGINS[service])), len(stack.events(service, LogEvent.RUN_COMPLETED))
    async with httpx.AsyncClient() as http:
        asked = await http.post(
            f"http://{stack.address('ingest')}/trigger",
            json={"mode": "full"},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
    assert asked.status_code == 202

    async def has_begun() -> bool:
        return await asyncio.to_thread(lambda: len(stack.events(*BEGINS[service]))) > begun

    await eventually(has_begun, poll=0.1)
    return AtWork(stack, service, ended)

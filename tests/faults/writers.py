"""The company at work, and beside it somebody who writes in the ways that pipelines lose rows by."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

import asyncpg

from totesys.connection import Connection, connect
from totesys.errors import TotesysError
from totesys_simulation import simulate

RATE = 30.0
PAUSE = 0.2
LONGEST_OPEN = 8.0

_PAID = "UPDATE payment SET paid = NOT paid WHERE payment_id = $1"
_BACKDATED = (
    "UPDATE sales_order SET units_sold = units_sold + 1, last_updated = '2022-11-03 14:20:49' WHERE sales_order_id = $1"
)
_NO_DATE = "UPDATE purchase_order SET agreed_delivery_date = '2022-13-45' WHERE purchase_order_id = $1"
_MENDED = "UPDATE purchase_order SET agreed_delivery_date = '2023-01-31' WHERE agreed_delivery_date = '2022-13-45'"


class Adversary:
    """One transaction after the other on the oldest rows: touched without a new time, with an old one, undone, late."""

    def __init__(self, dsn: str, seed: str, stop: asyncio.Event) -> None:
        self._dsn = dsn
        self._random = Random(seed)
        self._stop = stop

    async def write(self) -> None:
        """Write until told to stop."""
        ways = (self._same_timestamp, self._backdated, self._undone, self._back_to_savepoint, self._late, self._no_date)
        async with connect("The source", self._dsn) as connection:
            while not self._stop.is_set():
                await self._random.choice(ways)(connection)
                await self._pause(PAUSE)

    async def _same_timestamp(self, connection: Connection) -> None:
        for _ in range(2):
            await connection.execute(_PAID, self._random.randint(1, 20))

    async def _backdated(self, connection: Connection) -> None:
        await connection.execute(_BACKDATED, self._random.randint(1, 20))

    async def _undone(self, connection: Connection) -> None:
        with suppress(ZeroDivisionError):
            async with connection.transaction():
                await self._backdated(connection)
                raise ZeroDivisionError

    async def _back_to_savepoint(self, connection: Connection) -> None:
        async with connection.transaction():
            await self._backdated(connection)
            await self._undone(connection)

    async def _late(self, connection: Connection) -> None:
        """Open over many extractions, and committed with what was written long ago."""
        async with connection.transaction():
            await connection.execute(_BACKDATED, self._random.randint(21, 40))
            await self._pause(self._random.uniform(0, LONGEST_OPEN))

    async def _no_date(self, connection: Connection) -> None:
        """A row that cannot become one of the warehouse, and is mended later."""
        await connection.execute(_MENDED)
        await connection.execute(_NO_DATE, self._random.randint(1, 20))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


@asynccontextmanager
async def writing(dsn: str, seed: str) -> AsyncIterator[None]:
    """Writers are at work as long as the block lasts, whatever becomes of their connections; then all is at rest."""
    stop = asyncio.Event()
    company = asyncio.create_task(
        _until(stop, lambda: simulate(dsn, rate=RATE, seconds=None, seed=hash_of(seed), stop=stop))
    )
    adversary = asyncio.create_task(_until(stop, Adversary(dsn, seed, stop).write))
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(company, adversary)


async def _until(stop: asyncio.Event, write: Callable[[], Awaitable[object]]) -> None:
    while not stop.is_set():
        with suppress(TotesysError, asyncpg.PostgresError):
            await write()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE)


def hash_of(seed: str) -> int:
    """A number for a seed, the same one each time."""
    return Random(seed).getrandbits(31)

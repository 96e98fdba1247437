"""A realistic writer: the source application of totesys."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from totesys.connection import Connection, connect
from totesys.sql import ident
from totesys_simulation.decisions import NUMBERED, REFERENCED, Decisions, Keys
from totesys_simulation.worker import Counts, Pace, Worker

OnCommit = Callable[[Counts], None]


async def simulate(
    dsn: str,
    *,
    rate: float,
    seconds: float | None,
    seed: int,
    stop: asyncio.Event | None = None,
    on_commit: OnCommit | None = None,
) -> Counts:
    """Change about `rate` rows a second for `seconds`, or until `stop` is set. Returns what was done.

    One connection uses short transactions, a second one keeps each open for some seconds. Some are rolled back, wholly
    or to a savepoint. `on_commit` gets the totals after each commit. Several writers can work on one database. Raises
    DatabaseUnavailable, AccessDenied or SettingsError.
    """
    pace = Pace(rate, seconds, stop or asyncio.Event())
    totals = _Totals(on_commit)
    async with _worker(dsn, f"{seed}/short", pace, totals) as short, _worker(dsn, f"{seed}/long", pace, totals) as long:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(short.work_short(rate))
                group.create_task(long.work_long())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
    return totals.counts


class _Totals:
    """Sums up the reports of the workers."""

    def __init__(self, on_commit: OnCommit | None) -> None:
        self.counts = Counts()
        self._on_commit = on_commit

    def __call__(self, counts: Counts) -> None:
        self.counts += counts
        if counts.committed and self._on_commit:
            self._on_commit(self.counts)


@asynccontextmanager
async def _worker(dsn: str, seed: str, pace: Pace, totals: _Totals) -> AsyncIterator[Worker]:
    async with connect("The source", dsn) as connection:
        keys = await _known_keys(connection)
        yield Worker(connection, keys, Decisions(seed, keys), pace, totals)


async def _known_keys(connection: Connection) -> Keys:
    referenced = {}
    for table in REFERENCED:
        key, name = ident(table.only_key), ident(table.name)
        referenced[table.name] = [row[0] for row in await connection.fetch(f"SELECT {key} FROM {name} ORDER BY 1")]
    last = {}
    for table in NUMBERED:
        last[table.name] = (
            await connection.fetchval(f"SELECT max({ident(table.only_key)}) FROM {ident(table.name)}") or 0
        )
    return Keys(referenced, last)

"""Carries out decisions on one connection."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from totesys.connection import Connection
from totesys.sql import ident
from totesys_simulation.counts import Counts
from totesys_simulation.decisions import INSERTED, Change, Decisions, Insert, Keys, PlannedTransaction
from totesys_simulation.pace import Pace
from totesys_simulation.statements import statements

LONG_EVENTS = 4
KEYS_AT_ONCE = 100
TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


@dataclass
class Worker:
    """One connection at work; `report` hears of each transaction that has ended."""

    connection: Connection
    keys: Keys
    decisions: Decisions
    pace: Pace
    report: Callable[[Counts], None]

    async def work_short(self, rate: float) -> None:
        """One transaction after the other, each over as soon as it can be."""
        while not self.pace.over:
            await self.carry_out(await self._next(self.decisions.events(rate)), hold=0)

    async def work_long(self) -> None:
        """One transaction after the other, each open for some seconds with its changes in it."""
        while not self.pace.over:
            await self.carry_out(await self._next(LONG_EVENTS), self.decisions.hold())

    async def _next(self, events: int) -> PlannedTransaction:
        await self._keep_free_keys(events + 1)
        work = self.decisions.work(_now(), events)
        await self.pace.turn(len(work.changes) if work.commits else 0)
        return work

    async def carry_out(self, work: PlannedTransaction, hold: float) -> None:
        """Carry the work out, as often as it takes: two writers can be in each other's way."""
        while True:
            try:
                counts = await self._transact(work, hold)
            except TRY_AGAIN:
                self.report(Counts(rolled_back=1))
            else:
                break
        if work.commits:
            self.keys.learn(work)
        self.report(counts)

    async def _transact(self, work: PlannedTransaction, hold: float) -> Counts:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            counts = await self._write(work.changes)
            await self._undo(work.undone)
            await self.pace.pause(hold)
        except Exception:  # Not when cancelled: in the middle of a statement only the connection's end undoes it.
            await transaction.rollback()
            raise
        if not work.commits:
            await transaction.rollback()
            return Counts(rolled_back=1)
        await transaction.commit()
        return counts

    async def _write(self, changes: Iterable[Change]) -> Counts:
        inserted: Counter[str] = Counter()
        updated: Counter[str] = Counter()
        for (kind, table, sql), arguments in statements(changes).items():
            rows = await self.connection.fetchmany(sql, arguments)
            (inserted if kind is Insert else updated)[table.name] += len(rows)
        return Counts(inserted, updated, committed=1)

    async def _undo(self, changes: tuple[Change, ...]) -> None:
        """Write the changes after a savepoint and go back to it."""
        if changes:
            savepoint = self.connection.transaction()
            await savepoint.start()
            await self._write(changes)
            await savepoint.rollback()

    async def _keep_free_keys(self, count: int) -> None:
        """Take keys from the sequences, so that rows can be decided on before they are written."""
        for table in INSERTED:
            free = self.keys.free[table.name]
            if len(free) < count:
                taken = await self.connection.fetch(
                    "SELECT nextval(pg_get_serial_sequence($1, $2)) FROM generate_series(1, $3)",
                    ident(table.name),
                    table.key,
                    max(count, KEYS_AT_ONCE),
                )
                free[:0] = sorted((row[0] for row in taken), reverse=True)


def _now() -> datetime:
    """The application's clock in UTC, in milliseconds, without a zone: as the source keeps time."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)

"""Executes planned transactions on one connection, at a given pace."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from totesys.connection import Connection
from totesys.model.source_tables import SOURCES
from totesys.schema import sorted_by_references
from totesys.sql import column_list, ident
from totesys.table import SourceTable
from totesys_simulation.decisions import INSERTED, Change, Decisions, Insert, Keys, PlannedTransaction, Update

# Seconds. Delays by locks of other writers are made up for, an outage is not.
CATCH_UP = 10.0
LONG_EVENTS = 4
KEYS_AT_ONCE = 100
RETRIED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# Rows are written after those that they refer to. All writers lock the tables in this order.
ORDER = {table.name: number for number, table in enumerate(sorted_by_references(SOURCES))}

Statement = tuple[type[Change], SourceTable, str]


@dataclass(frozen=True)
class Counts:
    """Committed rows by table, and the numbers of transactions committed and rolled back."""

    inserted: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    committed: int = 0
    rolled_back: int = 0
    deleted: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.committed + other.committed,
            self.rolled_back + other.rolled_back,
            self.deleted + other.deleted,
        )

    @property
    def rows(self) -> int:
        """The number of changed rows that were committed."""
        return self.inserted.total() + self.updated.total() + self.deleted.total()


class Pace:
    """Lets the workers that share it write about `rate` rows a second, for `seconds` or until `stop` is set."""

    def __init__(self, rate: float, seconds: float | None, stop: asyncio.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._clock = asyncio.get_running_loop().time
        self._next = self._clock()
        self._end = self._next + seconds if seconds is not None else float("inf")

    @property
    def over(self) -> bool:
        return self._stop.is_set() or self._clock() >= self._end

    async def turn(self, rows: int) -> None:
        """Wait until `rows` more may be written, or until the end."""
        turn = max(self._next, self._clock() - CATCH_UP)
        self._next = turn + rows / self._rate
        await self.pause(turn - self._clock())

    async def pause(self, seconds: float) -> None:
        """Wait for `seconds`, or until the end."""
        timeout = min(seconds, self._end - self._clock())
        if timeout > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), timeout)


@dataclass
class Worker:
    """One connection and its decisions; `report` is called after each transaction."""

    connection: Connection
    keys: Keys
    decisions: Decisions
    pace: Pace
    report: Callable[[Counts], None]

    async def work_short(self, rate: float) -> None:
        """Execute one short transaction after the other."""
        while not self.pace.over:
            await self.execute(await self._next(self.decisions.events(rate)), hold=0)

    async def work_long(self) -> None:
        """Execute one transaction after the other, each open for some seconds with its changes."""
        while not self.pace.over:
            await self.execute(await self._next(LONG_EVENTS), self.decisions.hold())

    async def _next(self, events: int) -> PlannedTransaction:
        await self._reserve_keys(events + 1)
        planned = self.decisions.transaction(_now(), events)
        await self.pace.turn(len(planned.changes) if planned.commits else 0)
        return planned

    async def execute(self, planned: PlannedTransaction, hold: float) -> None:
        """Execute a transaction, and retry it while other writers are in its way."""
        while True:
            try:
                counts = await self._transact(planned, hold)
            except RETRIED:
                self.report(Counts(rolled_back=1))
            else:
                break
        if planned.commits:
            self.keys.learn(planned)
        self.report(counts)

    async def _transact(self, planned: PlannedTransaction, hold: float) -> Counts:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            counts = await self._write(planned.changes)
            await self._write_and_undo(planned.undone)
            await self.pace.pause(hold)
        except Exception:  # Not on cancellation: amid a statement, only the end of the connection rolls back.
            await transaction.rollback()
            raise
        if not planned.commits:
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

    async def _write_and_undo(self, changes: tuple[Change, ...]) -> None:
        """Write the changes after a savepoint, and roll back to it."""
        if changes:
            savepoint = self.connection.transaction()
            await savepoint.start()
            await self._write(changes)
            await savepoint.rollback()

    async def _reserve_keys(self, count: int) -> None:
        """Take keys from the sequences, so that rows can be planned before they are written."""
        for table in INSERTED:
            free = self.keys.free[table.name]
            if len(free) < count:
                taken = await self.connection.fetch(
                    "SELECT nextval(pg_get_serial_sequence($1, $2)) FROM generate_series(1, $3)",
                    ident(table.name),
                    table.only_key,
                    max(count, KEYS_AT_ONCE),
                )
                free[:0] = sorted((row[0] for row in taken), reverse=True)


def statements(changes: Iterable[Change]) -> dict[Statement, list[tuple[Any, ...]]]:
    """The changes as statements, each with the arguments of all its rows. Each returns the keys of its rows."""
    grouped: dict[Statement, list[tuple[Any, ...]]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: ORDER[change.table.name]):
        if isinstance(change, Insert):
            grouped[Insert, change.table, _insert(change.table)].append(change.row)
        else:
            grouped[Update, change.table, _update(change)].append((change.key, *change.values.values()))
    return grouped


def _insert(table: SourceTable) -> str:
    parameters = ", ".join(f"${number}" for number in range(1, len(table.columns) + 1))
    columns = column_list(table.column_names)
    return f"INSERT INTO {ident(table.name)} ({columns}) VALUES ({parameters}) RETURNING {ident(table.only_key)}"


def _update(change: Update) -> str:
    values = ", ".join(f"{ident(name)} = ${number}" for number, name in enumerate(change.values, 2))
    key = ident(change.table.only_key)
    return f"UPDATE {ident(change.table.name)} SET {values} WHERE {key} = $1 RETURNING {key}"


def _now() -> datetime:
    """The source application's clock: UTC in milliseconds, without a zone, as the source stores it."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)

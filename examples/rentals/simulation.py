"""The shops at work: creates and fills their database, and changes it.

`totesys demo`, `totesys simulate` and `totesys local databases` call its `create_source`, `scaled_rows`, `fill` and
`simulate`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import asyncpg

from totesys.connection import Connection, connect
from totesys.sql import column_list, ident
from totesys_simulation import Counts
from totesys_simulation.worker import RETRIED, Pace

from . import generated_rows
from .changes import SIZED, Change, transaction
from .source_tables import SOURCES

ROWS = {
    "language": 4,
    "category": 8,
    "film": 300,
    "film_category": 300,
    "address": 250,
    "store": 3,
    "customer": 200,
    "inventory": 1_500,
    "rental": 12_000,
    "payment": 12_000,
}
UNSCALED = {"language", "category", "store"}
ROLLED_BACK = 0.06
CHANGES_A_TRANSACTION = 4
LONG_SECONDS = (2, 6)

Progress = Callable[[str, int], None]
OnCommit = Callable[[Counts], None]


async def create_source(connection: Connection) -> None:
    """Create the tables of `schema.sql`."""
    await connection.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))


def scaled_rows(scale: float) -> dict[str, int]:
    """The rows of each table: ROWS times `scale`, the small tables as they are."""
    return {name: rows if name in UNSCALED else max(1, round(rows * scale)) for name, rows in ROWS.items()}


async def fill(
    connection: Connection, *, seed: int, scale: float = 1.0, progress: Progress | None = None
) -> dict[str, int]:
    """Fill the empty tables in one transaction; the rows of each. The same seed and scale give the same rows."""
    counts = scaled_rows(scale)
    async with connection.transaction():
        for table in SOURCES:
            rows = list(generated_rows.rows_of(table.name, Random(f"{seed}/{table.name}"), counts))
            await connection.copy_records_to_table(table.name, records=rows, columns=table.column_names)
            if progress:
                progress(table.name, len(rows))
            sequence = await connection.fetchval(
                "SELECT pg_get_serial_sequence($1, $2)", ident(table.name), table.columns[0].name
            )
            if sequence:
                await connection.execute("SELECT setval($1::regclass, $2)", sequence, len(rows))
    await connection.execute(f"ANALYZE {column_list(counts)}")
    return counts


async def simulate(
    dsn: str,
    *,
    rate: float,
    seconds: float | None,
    seed: int,
    stop: asyncio.Event | None = None,
    on_commit: OnCommit | None = None,
) -> Counts:
    """Change about `rate` rows a second for `seconds`, or until `stop` is set; what was done.

    One connection uses short transactions, a second one keeps each open for some seconds. Some are rolled back.
    """
    pace, totals = Pace(rate, seconds, stop or asyncio.Event()), Counts()

    def report(counts: Counts) -> None:
        nonlocal totals
        totals += counts
        if counts.committed and on_commit:
            on_commit(totals)

    async def work(name: str, longest: tuple[int, int]) -> None:
        random = Random(f"{seed}/{name}")
        async with connect("The source", dsn) as connection:
            known = await sizes(connection)
            while not pace.over:
                changes = transaction(random, known, _now(), random.randint(1, CHANGES_A_TRANSACTION * 2 - 1))
                await pace.turn(len(changes))
                pause = partial(pace.pause, random.uniform(*longest))
                report(await transact(connection, changes, commits=random.random() > ROLLED_BACK, pause=pause))

    async with asyncio.TaskGroup() as group:
        group.create_task(work("short", (0, 0)))
        group.create_task(work("long", LONG_SECONDS))
    return totals


async def sizes(connection: Connection) -> dict[str, int]:
    """The greatest key of each table. A key below it may have been deleted."""
    queries = {table.name: f"SELECT max({ident(table.columns[0].name)}) FROM {ident(table.name)}" for table in SIZED}
    return {name: await connection.fetchval(query) or 0 for name, query in queries.items()}


async def transact(
    connection: Connection,
    changes: list[Change],
    *,
    commits: bool = True,
    pause: Callable[[], Awaitable[None]] | None = None,
) -> Counts:
    """Make the changes in a transaction, wait for `pause`, and commit or roll back; what was done."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        counts = await _write(connection, changes)
        if pause:
            await pause()
    except (*RETRIED, asyncpg.ForeignKeyViolationError):
        # Another transaction deleted the row, or locks rows in another order.
        await transaction.rollback()
        return Counts(rolled_back=1)
    except Exception:  # Not on cancellation: amid a statement, only the end of the connection rolls back.
        await transaction.rollback()
        raise
    if not commits:
        await transaction.rollback()
        return Counts(rolled_back=1)
    await transaction.commit()
    return counts


async def _write(connection: Connection, changes: list[Change]) -> Counts:
    counts = Counts(committed=1)
    rows = {"INSERT": counts.inserted, "UPDATE": counts.updated, "DELETE": counts.deleted}
    for change in changes:
        status = await connection.execute(change.sql, *change.arguments)
        verb, *_, number = status.split()
        rows[verb][change.table] += int(number)
    return counts


def _now() -> datetime:
    """UTC in milliseconds, without a zone, as the source stores it."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)

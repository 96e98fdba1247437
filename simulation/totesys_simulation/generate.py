"""Fills an empty source database with generated history."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from random import Random

from totesys.connection import Connection
from totesys.model.source_tables import (
    ADDRESS,
    COUNTERPARTY,
    CURRENCY,
    DEPARTMENT,
    DESIGN,
    PAYMENT,
    PAYMENT_TYPE,
    PURCHASE_ORDER,
    SALES_ORDER,
    SOURCES,
    STAFF,
    TRANSACTION,
)
from totesys.sql import ident
from totesys.table import SourceTable
from totesys_simulation import reference_rows
from totesys_simulation.calendar import CLOSING, working_time
from totesys_simulation.orders import Ids, Keys, OrderRows, purchase, sale
from totesys_simulation.reference_rows import Row

ROWS = {
    "address": 30,
    "counterparty": 20,
    "currency": 3,
    "department": 8,
    "design": 473,
    "staff": 20,
    "payment_type": 4,
    "sales_order": 11_187,
    "purchase_order": 4_649,
    "transaction": 15_836,
    "payment": 15_836,
}
UNSCALED = {CURRENCY.name, DEPARTMENT.name, PAYMENT_TYPE.name}
BATCH = 20_000
FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND conrelid = ANY ($1::text[]::regclass[]) ORDER BY conrelid, conname"""

Progress = Callable[[str, int], None]


async def fill(
    connection: Connection, *, seed: int, scale: float = 1.0, progress: Progress | None = None
) -> dict[str, int]:
    """Fill the empty source tables in one transaction. Returns the rows of each: ROWS times `scale`.

    The same seed and scale give the same rows. `progress` is called with a table's name and its rows so far. Raises
    asyncpg.UniqueViolationError if the tables have rows.
    """
    counts = scaled_rows(scale)
    written: Counter[str] = Counter()
    async with connection.transaction(), _without_foreign_keys(connection):
        for table, rows in batches(seed, counts):
            await connection.copy_records_to_table(table.name, records=rows, columns=table.column_names)
            written[table.name] += len(rows)
            if progress:
                progress(table.name, written[table.name])
        await _set_sequences(connection, counts)
    await connection.execute(f"ANALYZE {', '.join(ident(name) for name in counts)}")
    return counts


def scaled_rows(scale: float) -> dict[str, int]:
    """The rows of each table. Small tables are not scaled; every order has a transaction and a payment."""
    counts = {name: rows if name in UNSCALED else max(1, round(rows * scale)) for name, rows in ROWS.items()}
    orders = counts[SALES_ORDER.name] + counts[PURCHASE_ORDER.name]
    return {**counts, TRANSACTION.name: orders, PAYMENT.name: orders}


def batches(seed: int, counts: dict[str, int]) -> Iterator[tuple[SourceTable, list[Row]]]:
    """All rows, in batches that fit in memory, each after those that it refers to."""
    for table, rows in _reference_rows(seed, counts):
        remaining = iter(rows)
        while batch := list(islice(remaining, BATCH)):
            yield table, batch
    orders = _orders(Random(f"{seed}/orders"), counts)
    while made := list(islice(orders, BATCH)):
        for table in (SALES_ORDER, PURCHASE_ORDER):
            yield table, [order.order for order in made if order.table is table]
        yield TRANSACTION, [order.transaction for order in made]
        yield PAYMENT, [order.payment for order in made]


def _reference_rows(seed: int, counts: dict[str, int]) -> Iterator[tuple[SourceTable, Iterable[Row]]]:
    random = Random(f"{seed}/company")
    yield ADDRESS, reference_rows.addresses(random, counts[ADDRESS.name])
    yield COUNTERPARTY, reference_rows.counterparties(random, counts[COUNTERPARTY.name], counts[ADDRESS.name])
    yield CURRENCY, reference_rows.currencies(random)
    yield DEPARTMENT, reference_rows.departments(random)
    yield DESIGN, reference_rows.designs(random, counts[DESIGN.name])
    yield STAFF, reference_rows.staff(random, counts[STAFF.name])
    yield PAYMENT_TYPE, reference_rows.payment_types(random)


def _orders(random: Random, counts: dict[str, int]) -> Iterator[OrderRows]:
    """Sales and purchases in order of time, evenly mixed, each kind numbered from 1."""
    keys: Keys = {name: range(1, count + 1) for name, count in counts.items()}
    orders, sales = counts[TRANSACTION.name], counts[SALES_ORDER.name]
    for number in range(1, orders + 1):
        at = working_time((number - 1 + random.random()) / orders)
        sold = number * sales // orders
        if sold > (number - 1) * sales // orders:
            yield sale(random, keys, Ids(sold, number, number), at, CLOSING)
        else:
            yield purchase(random, keys, Ids(number - sold, number, number), at, CLOSING)


@asynccontextmanager
async def _without_foreign_keys(connection: Connection) -> AsyncIterator[None]:
    """Drop the foreign keys, and add them after the block: checked as sets, that takes half the time."""
    references = await connection.fetch(FOREIGN_KEYS, [ident(table.name) for table in SOURCES])
    for table, name, _ in references:
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    for table, name, definition in references:
        await connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


async def _set_sequences(connection: Connection, counts: dict[str, int]) -> None:
    """Set each sequence to continue after the last row."""
    for table in SOURCES:
        sequence = "SELECT setval(pg_get_serial_sequence($1, $2), $3)"
        await connection.execute(sequence, ident(table.name), table.only_key, counts[table.name])

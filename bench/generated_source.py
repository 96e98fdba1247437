"""A source with any number of orders, created in minutes, and changes of many of its rows at once.

The simulation creates one order at a time, so only the first GENERATED_ORDERS are its work. The others are copies of
those with new keys. The history then repeats itself only after more rows than a page of a Parquet file holds; a
shorter period would compress too well.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random

from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.model.source_tables import PAYMENT, PURCHASE_ORDER, SALES_ORDER, TRANSACTION, TRANSACTION_TYPE
from totesys.schema import sorted_by_references
from totesys.sql import column_list, ident
from totesys.table import Capture, Column, SourceTable
from totesys_cli.source_database import create_source
from totesys_simulation import ROWS, fill

# The tables that grow with the orders, each after those it refers to. Each order has one row in the last.
GROWING = tuple(table for table in sorted_by_references(MODEL.sources) if table.capture is Capture.INCREMENTAL)
SEED = 1
GENERATED_ORDERS = 500_000
# For the sorts and index builds of the growth.
SESSION = {"work_mem": "256MB", "maintenance_work_mem": "512MB"}
# A new value for one column of each table, which the warehouse has to show.
NEW_VALUE = {
    SALES_ORDER.name: "units_sold = units_sold + 1",
    PURCHASE_ORDER.name: "item_quantity = item_quantity + 1",
    TRANSACTION.name: "transaction_type = CASE transaction_type WHEN 'SALE' THEN 'PURCHASE' ELSE 'SALE' END"
    f"::{TRANSACTION_TYPE.postgres}",
    PAYMENT.name: "paid = NOT paid",
}

_CONSTRAINTS = """
    SELECT conrelid::regclass::text AS relation, quote_ident(conname) AS name, contype = 'f' AS refers,
           pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
    WHERE contype IN ('f', 'p', 'u') AND conrelid = ANY ($1::text[]::regclass[])
    ORDER BY refers DESC, conrelid, conname"""
_NOT_VALID = " NOT VALID"


async def create(dsn: str, orders: int) -> None:
    """Fill the empty database at `dsn` with a source of that many orders."""
    async with connect("The source", dsn) as connection:
        await create_source(connection, MODEL)
        # Slightly fewer, because the rows of each table are rounded; growth adds the missing ones.
        generated = min(orders, GENERATED_ORDERS) - 1
        await fill(connection, seed=SEED, scale=generated / ROWS[GROWING[-1].name])
    await grow(dsn, orders)


async def grow(dsn: str, orders: int) -> None:
    """Bring the source at `dsn` to that many orders, and leave it vacuumed. Raises ValueError if it has more."""
    async with connect("The source", dsn, **SESSION) as connection:
        async with connection.transaction(), _without_constraints(connection):
            await _copy_orders(connection, orders)
        # Otherwise the first reader of a new row would set its hint bits, and pay for all others.
        await connection.execute(f"VACUUM (ANALYZE) {', '.join(ident(table.name) for table in GROWING)}")
        await connection.execute("CHECKPOINT")


async def count_rows(dsn: str) -> int:
    """The number of rows of all growing tables."""
    async with connect("The source", dsn) as connection:
        return sum([await connection.fetchval(f"SELECT count(*) FROM {ident(table.name)}") for table in GROWING])


async def change(dsn: str, rows: int, seed: int) -> int:
    """Change that many rows, spread evenly over the growing tables, in one transaction; returns the number changed.

    The same seed chooses the same rows of the same source.
    """
    random, changed = Random(seed), 0
    async with connect("The source", dsn) as connection, connection.transaction():
        for place, table in enumerate(GROWING):
            share = rows * (place + 1) // len(GROWING) - rows * place // len(GROWING)
            key, name = ident(table.only_key), ident(table.name)
            last = await connection.fetchval(f"SELECT max({key}) FROM {name}")
            status = await connection.execute(
                f"""UPDATE {name} SET {NEW_VALUE[table.name]}, last_updated = now() AT TIME ZONE 'UTC'
                    WHERE {key} = ANY ($1)""",
                random.sample(range(1, last + 1), min(share, last)),
            )
            changed += int(status.removeprefix("UPDATE "))
    return changed


async def _copy_orders(connection: Connection, orders: int) -> None:
    last = await _last_keys(connection)
    while (present := last[GROWING[-1].name]) < orders:
        limits = await _limits(connection, min(present, orders - present))
        for table in GROWING:
            statement, shifted = copy_statement(table)
            await connection.execute(statement, limits[table.name], *(last[name] for name in shifted))
        last = await _last_keys(connection)
    if present > orders:
        raise ValueError(f"The source already has {present} orders, more than {orders}.")
    for table in GROWING:
        sequence = "SELECT setval(pg_get_serial_sequence($1, $2), $3)"
        await connection.execute(sequence, ident(table.name), table.only_key, last[table.name])


def copy_statement(table: SourceTable) -> tuple[str, list[str]]:
    """The INSERT that copies the rows up to key $1, and the tables whose last keys are $2 and so on."""
    shifted: list[str] = []

    def value(column: Column) -> str:
        keyed = table.name if column.name == table.only_key else column.references
        if keyed not in {other.name for other in GROWING}:
            return ident(column.name)
        shifted.append(keyed)
        return f"{ident(column.name)} + ${len(shifted) + 1}"

    key, name, values = ident(table.only_key), ident(table.name), ", ".join(value(column) for column in table.columns)
    columns = column_list(table.column_names)
    return f"INSERT INTO {name} ({columns}) SELECT {values} FROM {name} WHERE {key} <= $1 ORDER BY {key}", shifted


async def _last_keys(connection: Connection) -> dict[str, int]:
    return {
        table.name: await connection.fetchval(f"SELECT max({ident(table.only_key)}) FROM {ident(table.name)}")
        for table in GROWING
    }


async def _limits(connection: Connection, orders: int) -> Mapping[str, int]:
    """The last key of each table that belongs to the first `orders` orders; keys ascend with time."""
    limits = {table.name: 0 for table in GROWING} | {GROWING[-1].name: orders}
    for table in reversed(GROWING):
        for column in table.columns:
            if column.references in limits:
                query = f"SELECT max({ident(column.name)}) FROM {ident(table.name)} WHERE {ident(table.only_key)} <= $1"
                limit = await connection.fetchval(query, limits[table.name]) or 0
                limits[column.references] = max(limits[column.references], limit)
    return limits


@asynccontextmanager
async def _without_constraints(connection: Connection) -> AsyncIterator[None]:
    """Drop keys and references and restore them at the end: an index is then built at once, not row by row.

    References are restored unchecked: copies of valid rows are valid, and new rows are checked as before.
    """
    constraints = await connection.fetch(_CONSTRAINTS, [ident(table.name) for table in GROWING])
    for constraint in constraints:
        await connection.execute(f"ALTER TABLE {constraint['relation']} DROP CONSTRAINT {constraint['name']}")
    yield
    for constraint in reversed(constraints):
        definition = constraint["definition"].removesuffix(_NOT_VALID) + (_NOT_VALID if constraint["refers"] else "")
        await connection.execute(
            f"ALTER TABLE {constraint['relation']} ADD CONSTRAINT {constraint['name']} {definition}"
        )

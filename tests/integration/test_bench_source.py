"""The benchmark's source has as many orders as were asked for, and they are a company's."""

from collections.abc import Callable

import pytest

from bench.generated_source import GROWING, change, count_rows, create, grow
from tests.integration.test_simulation import rows_of
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.schema import Model
from totesys.sql import ident
from totesys.table import Column, SourceTable

ORDERS, MORE_ORDERS = 1_000, 3_501


async def test_a_source_grows_to_exactly_so_many_orders_and_every_reference_holds(database: Callable[[], str]) -> None:
    dsn = database()
    await create(dsn, ORDERS)
    assert await count_rows(dsn) == 3 * ORDERS
    await grow(dsn, MORE_ORDERS)
    assert await count_rows(dsn) == 3 * MORE_ORDERS
    async with connect("The source", dsn) as connection:
        for table in GROWING:
            rows = await connection.fetchval(f"SELECT count(*) FROM {ident(table.name)}")
            last = await connection.fetchval(f"SELECT max({ident(table.only_key)}) FROM {ident(table.name)}")
            following = await connection.fetchval(
                "SELECT nextval(pg_get_serial_sequence($1, $2))", ident(table.name), table.only_key
            )
            assert (last, following) == (rows, rows + 1)
            for column in table.columns:
                if column.references:
                    assert await dangling(connection, MODEL, table, column) == 0
    with pytest.raises(ValueError, match="more than 10"):
        await grow(dsn, 10)


async def dangling(connection: Connection, model: Model, table: SourceTable, column: Column) -> int:
    assert column.references
    key = ident(model.source(column.references).only_key)
    found: int = await connection.fetchval(
        f"""SELECT count(*) FROM {ident(table.name)} AS referring
            WHERE {ident(column.name)} IS NOT NULL AND NOT EXISTS (
                SELECT FROM {ident(column.references)} AS referred WHERE referred.{key} = referring.{ident(column.name)}
            )"""
    )
    return found


async def test_growth_keeps_keys_and_references_in_force(database: Callable[[], str]) -> None:
    query = """SELECT conrelid::regclass::text AS relation, conname, contype FROM pg_constraint
               WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""
    dsn = database()
    await create(dsn, ORDERS)
    async with connect("The source", dsn) as connection:
        before = [tuple(row) for row in await connection.fetch(query)]
        await grow(dsn, MORE_ORDERS)
        assert [tuple(row) for row in await connection.fetch(query)] == before


async def test_so_many_rows_change_in_one_transaction_and_no_others(database: Callable[[], str]) -> None:
    dsn = database()
    await create(dsn, ORDERS)
    async with connect("The source", dsn) as connection:
        before = {table.name: set(await rows_of(connection, table.name)) for table in GROWING}
        assert await change(dsn, 41, seed=1) == 41
        changed = {table.name: set(await rows_of(connection, table.name)) - before[table.name] for table in GROWING}
        assert sorted(len(rows) for rows in changed.values()) == [10, 10, 10, 11]
        tables = " UNION ALL ".join(f"SELECT xmin FROM {ident(table.name)}" for table in GROWING)
        newest = await connection.fetchval(
            f"SELECT count(*) FROM ({tables}) AS r GROUP BY xmin ORDER BY age(xmin) LIMIT 1"
        )
        assert newest == 41

"""A Postgres warehouse made of the lakehouse's tables, so that what checks warehouses checks the lakehouse, too.

The rows are copied as they are, and the generated views make versions of them: the same SQL that users run.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing

import pyarrow as pa

from totesys.arrow import arrow_type as declared_arrow_type
from totesys.connection import Connection, connect
from totesys.schema import ETL, Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.sql_keys import key_list, key_text
from totesys.table import Column, Fact, WarehouseTable
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation
from totesys_cli.local.local_postgres import PostgresServer
from totesys_lakehouse.iceberg_catalog import open_catalog
from totesys_lakehouse.iceberg_store import IcebergStore
from totesys_lakehouse.lakehouse_tables import (
    DELETION,
    LEDGER,
    LakehouseTable,
    lakehouse_tables,
)
from totesys_lakehouse.lakehouse_views import view_schema, view_script
from totesys_lakehouse.view_dialects import POSTGRES
from totesys_lakehouse.view_queries import Queries
from totesys_load.parquet_copy import copy_rows
from totesys_load.warehouse_setup import prepare

WHAT = "The copy of the lakehouse"
# The schemas of the tables as the lakehouse has them, and of the warehouse that is made of these.
COPIED, WAREHOUSE = "copied", "warehouse"


@asynccontextmanager
async def warehouse_copy(
    location: LakehouseLocation,
    model: Model,
    on_table: Callable[[str], None] = lambda _: None,
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[str]:
    """The DSN of a temporary Postgres warehouse, schema WAREHOUSE, with what the lakehouse has now.

    `on_table` hears of each table that is copied; `environment` has AWS's variables. Raises TotesysError or
    LocalStackError.
    """
    with await asyncio.to_thread(lambda: PostgresServer.start(durable=False)) as server:
        dsn = server.create_database("lakehouse")
        store = IcebergStore(
            await asyncio.to_thread(open_catalog, location.required_catalog, None, environment), location.namespace
        )
        with closing(store):
            await asyncio.to_thread(store.require, lakehouse_tables(model))
            async with connect(WHAT, dsn) as connection, connection.transaction():
                await prepare(connection, model, WAREHOUSE, dsn)
                await _copy(connection, store, model, on_table)
                await connection.execute(view_script(Queries(model, POSTGRES, COPIED, margin_seconds=0)))
                await _fill(connection, model)
        yield dsn


async def _copy(connection: Connection, store: IcebergStore, model: Model, on_table: Callable[[str], None]) -> None:
    """Copy the tables. The ledger comes first: it decides which runs are copied of the others."""
    tables = {table.name: table for table in lakehouse_tables(model)}
    await connection.execute(f"CREATE SCHEMA {ident(COPIED)}")
    last = await asyncio.to_thread(store.last_run, LEDGER)
    for table in (tables.pop(LEDGER), *tables.values()):
        definitions = ", ".join(f"{ident(column.name)} {column.type.postgres}" for column in table.columns)
        await connection.execute(f"CREATE TABLE {qualified(COPIED, table.name)} ({definitions})")
        rows = await asyncio.to_thread(store.scan, table.name, table.column_names, upto=last)
        columns = [Column(column.name, column.type) for column in table.columns]
        await copy_rows(connection, COPIED, table.name, _raw_rows(rows, table), columns)
        await connection.execute(f"ANALYZE {qualified(COPIED, table.name)}")
        on_table(table.name)


def _raw_rows(rows: pa.Table, table: LakehouseTable) -> pa.Table:
    types = [declared_arrow_type(column.type) for column in table.columns]
    return rows.select(table.column_names).cast(pa.schema(list(zip(table.column_names, types, strict=True))))


async def _fill(connection: Connection, model: Model) -> None:
    """Write warehouse tables and ledger from the copied tables and the views over them."""
    await connection.execute(_RUNS)
    for table in lakehouse_tables(model):
        if isinstance(table.declared, Fact):
            await connection.execute(_versions(table, table.declared))
        elif table.declared is not None:
            columns = column_list(table.declared.column_names)
            await connection.execute(
                f"INSERT INTO {qualified(WAREHOUSE, table.name)} ({columns}) "
                f"SELECT {_declared(table)} FROM {qualified(view_schema(COPIED), f'{table.name}_current')} AS v"
            )
        if table.declared is not None:
            await connection.execute(_deletions(table, table.declared))
            await connection.execute(_brought(table, table.declared))
    await connection.execute("ANALYZE")


_RUNS = f"""
    INSERT INTO {ETL}.run (lake, run, previous, extraction, complete, snapshot_time, rows_written, applied_at, trigger,
                           source, xmin_after, swept, high_water_mark, position)
    SELECT lake::uuid, run, previous, extraction, complete, snapshot_time AT TIME ZONE 'UTC', rows,
           committed_at AT TIME ZONE 'UTC', trigger, source, xmin_after, swept, high_water_mark::jsonb, position::jsonb
    FROM {qualified(COPIED, LEDGER)}"""


def _versions(table: LakehouseTable, fact: Fact) -> str:
    """The versions of a fact, numbered as load does: run by run, in the order of the keys."""
    columns, history = column_list(fact.column_names), qualified(view_schema(COPIED), f"{fact.name}_history")
    return (
        f"INSERT INTO {qualified(WAREHOUSE, fact.name)} ({ident(fact.record_id)}, {columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT row_number() OVER (ORDER BY v.run, {key_list(fact, 'v')}), {_declared(table)} FROM {history} AS v"
    )


def _declared(table: LakehouseTable) -> str:
    """The declared columns, out of a view `v`: a time of day comes from its timestamp."""
    assert table.declared is not None
    found: dict[str, str] = {}
    for column in table.value_columns:
        value = f"v.{ident(column.name)}"
        for part in column.parts:
            found.setdefault(part, f"CAST({value} AS {table.declared.column(part).type.postgres})")
    return ", ".join(found[name] for name in table.declared.column_names)


def _deletions(table: LakehouseTable, declared: WarehouseTable) -> str:
    """A deletion ends with the first later run that brought the key again."""
    relation, integer = qualified(COPIED, table.name), declared.has_integer_key
    same = f"{key_list(declared, 'v')} = d.id" if integer else f"{key_text(declared, 'v')} = d.key"
    number = "d.id" if integer else "hashtextextended(d.key, 0)"
    return (
        f"INSERT INTO {ETL}.deletion (table_name, id, key, lake, run, deleted_at, returned_run, returned_at) "
        f"SELECT d.table_name, {number}, d.key, r.lake::uuid, d.run, d.snapshot_time AT TIME ZONE 'UTC', t.run, "
        f"t.snapshot_time AT TIME ZONE 'UTC' FROM {qualified(COPIED, DELETION)} AS d "
        f"JOIN {qualified(COPIED, LEDGER)} AS r USING (run) LEFT JOIN LATERAL ("
        f"SELECT v.run, v.snapshot_time FROM {relation} AS v WHERE {same} AND v.run > d.run "
        f"ORDER BY v.run LIMIT 1) AS t ON true WHERE d.table_name = {literal(table.name)}"
    )


def _brought(table: LakehouseTable, declared: WarehouseTable) -> str:
    """Which runs brought a table; of a fact, also the range of version ids that each wrote."""
    name = literal(table.name)
    brought = (
        f"SELECT r.lake::uuid AS lake, r.run FROM {qualified(COPIED, LEDGER)} AS r "
        f"WHERE {name} = ANY (string_to_array(r.tables, ','))"
    )
    insert = f"INSERT INTO {ETL}.run_table (lake, run, table_name, rows_read, rows_written, rows_quarantined"
    if not isinstance(declared, Fact):
        counted = f"SELECT run, count(*) AS rows FROM {qualified(COPIED, table.name)} GROUP BY run"
        return (
            f"{insert}) SELECT b.lake, b.run, {name}, coalesce(c.rows, 0), coalesce(c.rows, 0), 0 "
            f"FROM ({brought}) AS b LEFT JOIN ({counted}) AS c USING (run)"
        )
    history = qualified(view_schema(COPIED), f"{declared.name}_history")
    numbered = f"SELECT run, row_number() OVER (ORDER BY run, {key_list(declared)}) AS id FROM {history}"
    ranges = f"SELECT run, count(*) AS rows, min(id) AS first, max(id) AS last FROM ({numbered}) AS n GROUP BY run"
    return (
        f"{insert}, first_record_id, last_record_id) SELECT b.lake, b.run, {name}, coalesce(c.rows, 0), "
        f"coalesce(c.rows, 0), 0, coalesce(c.first, 1), coalesce(c.last, 0) FROM ({brought}) AS b "
        f"LEFT JOIN ({ranges}) AS c USING (run)"
    )

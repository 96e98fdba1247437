"""What Postgres does without us: its own client between both sides, scans of the source, and the star by SQL.

All peers move the warehouse tables that the source's growing tables feed, each from one of them.
"""

import time

from bench.peers.measured_command import Usage, run
from totesys.concurrency import gather_pair
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.session import SESSION
from totesys.sql import column_list, ident, qualified
from totesys.table import Capture, Column, Fact, SourceTable, WarehouseTable
from totesys_cli.local.binaries import find_binaries
from totesys_load.ddl import create_current_view, create_table
from totesys_load.ledger_migrations import LEDGER

SOURCE_SCHEMA, SCHEMA = "public", "warehouse"
TABLES: tuple[WarehouseTable, ...] = tuple(
    table for table in MODEL.tables if any(MODEL.source(name).capture is Capture.INCREMENTAL for name in table.sources)
)
# The formats of COPY: the default, and the one that neither prints numbers nor parses them.
TEXT, BINARY = "text", "binary"
# One process scans the table: an index would answer count(*) from fewer pages.
ONE_SCAN = {
    "max_parallel_workers_per_gather": "0",
    "enable_indexonlyscan": "off",
    "enable_indexscan": "off",
    "enable_bitmapscan": "off",
}
_SOURCE_TABLES = tuple(qualified(SOURCE_SCHEMA, table.name) for table in MODEL.sources)
_WAREHOUSE_TABLES = tuple(qualified(SCHEMA, table.name) for table in MODEL.tables)
# Columns that are not a source column of the same name. `time` is enough: the timestamps have milliseconds.
_EXPRESSIONS = {
    "created_date": "created_at::date",
    "created_time": "created_at::time",
    "last_updated_date": "last_updated::date",
    "last_updated_time": "last_updated::time",
    "sales_staff_id": "staff_id",
}


def source_of(table: WarehouseTable) -> SourceTable:
    """The source table that feeds a warehouse table."""
    return MODEL.source(table.sources[0])


async def create_tables(warehouse: str) -> None:
    """Create the tables with their keys, indexes and views in an empty database, as load would."""
    async with connect("The warehouse", warehouse) as connection, connection.transaction():
        await connection.execute(f"{LEDGER} CREATE SCHEMA {ident(SCHEMA)}")
        for table in TABLES:
            await connection.execute(create_table(SCHEMA, table))
            if isinstance(table, Fact):
                await connection.execute(create_current_view(SCHEMA, table))


async def pipe(source: str, warehouse: str, form: str = TEXT) -> Usage:
    """Fill the tables of an empty database by psql, one after another; `form` is a format of COPY.

    Raises CommandFailed with psql's message.
    """
    await create_tables(warehouse)
    settings = {name: value.replace(" ", "\\ ") for name, value in SESSION.items()}
    session = {"PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in settings.items())}
    total = Usage(0, 0, 0)
    for table in TABLES:
        target = f"{qualified(SCHEMA, table.name)} ({column_list(table.column_names)})"
        copy_out = f"COPY ({_select(table, SOURCE_SCHEMA)}) TO STDOUT (FORMAT {form})"
        copy_in = f"COPY {target} FROM STDIN (FORMAT {form})"
        total += await run(psql(source, copy_out), psql(warehouse, copy_in), environment=session)
    return total


def psql(dsn: str, command: str) -> list[str]:
    """The command line of Postgres's own client for one statement."""
    # Only a server has to suit another account; psql runs as this one.
    program = str(find_binaries(account=None) / "psql")
    return [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={command}", dsn]


async def build_star(warehouse: str, dataset: str) -> float:
    """Create the tables and fill them by SQL from a raw copy in the schema `dataset`; the seconds of the filling."""
    await create_tables(warehouse)
    async with connect("The warehouse", warehouse) as connection:
        started = time.perf_counter()
        for table in TABLES:
            target = f"{qualified(SCHEMA, table.name)} ({column_list(table.column_names)})"
            await connection.execute(f"INSERT INTO {target} {_select(table, dataset)}")
        return time.perf_counter() - started


async def scan(source: str) -> float:
    """The seconds of one sequential scan of each of the growing tables, over one connection."""
    async with connect("The source", source, **ONE_SCAN) as connection:
        tables = tuple(qualified(SOURCE_SCHEMA, source_of(table).name) for table in TABLES)
        started = time.perf_counter()
        await _execute(connection, "SELECT count(*) FROM {}", tables)
        return time.perf_counter() - started


async def count(source: str, warehouse: str) -> float:
    """The seconds in which both sides count the rows of all their tables, by a sequential scan each."""
    return await _on_both_sides(source, warehouse, "SELECT count(*) FROM {}")


async def print_rows(source: str, warehouse: str) -> float:
    """The seconds in which both sides print every row as text. The servers discard it: no client is involved."""
    return await _on_both_sides(source, warehouse, "COPY {} TO '/dev/null'")


async def _on_both_sides(source: str, warehouse: str, statement: str) -> float:
    async with (
        connect("The source", source, **ONE_SCAN) as one,
        connect("The warehouse", warehouse, **ONE_SCAN) as other,
    ):
        started = time.perf_counter()
        await gather_pair(_execute(one, statement, _SOURCE_TABLES), _execute(other, statement, _WAREHOUSE_TABLES))
        return time.perf_counter() - started


async def _execute(connection: Connection, statement: str, tables: tuple[str, ...]) -> None:
    for table in tables:
        await connection.execute(statement.format(table))


def _select(table: WarehouseTable, schema: str) -> str:
    """The leanest SQL for the table's rows, from its source table, or a copy of it, in `schema`.

    Unlike the model's reference query it trusts every date.
    """
    source = source_of(table)
    columns = ", ".join(_expression(column, source) for column in table.columns)
    return f"SELECT {columns} FROM {qualified(schema, source.name)}"


def _expression(column: Column, source: SourceTable) -> str:
    if column.name in _EXPRESSIONS:
        return _EXPRESSIONS[column.name]
    name = ident(column.name)
    return name if source.column(column.name).type == column.type else f"{name}::{column.type.postgres}"

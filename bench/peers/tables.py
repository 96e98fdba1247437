"""What every peer moves: the warehouse tables that the source's big tables feed, each from one of them."""

from totesys.connection import connect
from totesys.model import MODEL
from totesys.sql import ident, qualified
from totesys.table import Capture, Column, Fact, SourceTable, WarehouseTable
from totesys_load.ddl import create_current_view, create_table
from totesys_load.ledger_migrations import LEDGER

SCHEMA = "warehouse"

TABLES: tuple[WarehouseTable, ...] = tuple(
    table for table in MODEL.tables if any(MODEL.source(name).capture is Capture.INCREMENTAL for name in table.sources)
)

# What is not a source column of the same name. `time` is enough: the timestamps have milliseconds.
_EXPRESSIONS = {
    "created_date": "created_at::date",
    "created_time": "created_at::time",
    "last_updated_date": "last_updated::date",
    "last_updated_time": "last_updated::time",
    "sales_staff_id": "staff_id",
}


async def create_tables(warehouse: str) -> None:
    """Create the tables with their keys, indexes and views in a database that has none, as load would."""
    async with connect("The warehouse", warehouse) as connection, connection.transaction():
        await connection.execute(f"{LEDGER} CREATE SCHEMA {ident(SCHEMA)}")
        for table in TABLES:
            await connection.execute(create_table(SCHEMA, table))
            if isinstance(table, Fact):
                await connection.execute(create_current_view(SCHEMA, table))


def source_of(table: WarehouseTable) -> SourceTable:
    """The source table that feeds a warehouse table."""
    return MODEL.source(table.sources[0])


def select(table: WarehouseTable, schema: str) -> str:
    """The leanest SQL that makes the table's rows from its source table, or a copy of it, in `schema`.

    Unlike the model's reference query it trusts every date to be one.
    """
    source = source_of(table)
    columns = ", ".join(_expression(column, source) for column in table.columns)
    return f"SELECT {columns} FROM {qualified(schema, source.name)}"


def _expression(column: Column, source: SourceTable) -> str:
    if column.name in _EXPRESSIONS:
        return _EXPRESSIONS[column.name]
    name = ident(column.name)
    return name if source.column(column.name).type == column.type else f"{name}::{column.type.postgres}"

"""A warehouse as another tool makes it: other types that hold the same, serial keys, enforced references, its rows."""

from totesys.connection import Connection, connect
from totesys.schema import Model
from totesys.sql import column_list, ident, qualified
from totesys.table import Column, Fact, WarehouseTable

SCHEMA = "warehouse"
_TYPES = {
    "text": "varchar",
    "character varying(3)": "varchar(30)",
    "numeric(8,2)": "numeric(12,4)",
    "numeric(10,2)": "numeric",
    "time(3) without time zone": "time",
    "timestamp(3) without time zone": "timestamp",
}


async def make_foreign_warehouse(dsn: str, model: Model) -> None:
    """The declared tables in the empty database `dsn`: dimensions first, facts with their references enforced."""
    async with connect("The warehouse", dsn) as connection:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in (*model.dimensions, *model.facts):
            await connection.execute(_create(model, table))


def _create(model: Model, table: WarehouseTable) -> str:
    columns = [_column(model, table, column) for column in table.columns]
    if isinstance(table, Fact):
        columns.insert(1, f"{ident(table.record_id)} SERIAL PRIMARY KEY")
    columns.append("loaded_by text")
    return f"CREATE TABLE {qualified(SCHEMA, table.name)} ({', '.join(columns)})"


def _column(model: Model, table: WarehouseTable, column: Column) -> str:
    kind = _TYPES.get(column.type.postgres, column.type.postgres)
    if not isinstance(table, Fact):
        return f"{ident(column.name)} {kind}{' PRIMARY KEY' if column.name == table.only_key else ''}"
    if not column.references:
        return f"{ident(column.name)} {kind}"
    key = model.table(column.references).only_key
    return f"{ident(column.name)} {kind} REFERENCES {qualified(SCHEMA, column.references)} ({ident(key)})"


async def fill_from(source: Connection, warehouse: Connection, model: Model, *, facts: bool = True) -> None:
    """Rows that another tool loaded: what the reference queries of the tables with sources say of the source now."""
    for table in (*model.dimensions, *(model.facts if facts else ())):
        if table.sources:
            rows = await source.fetch(f"SELECT {column_list(table.column_names)} FROM ({table.reference_query}) AS o")
            places = ", ".join(f"${place + 1}" for place in range(len(table.columns)))
            await warehouse.executemany(
                f"INSERT INTO {qualified(SCHEMA, table.name)} ({column_list(table.column_names)}) VALUES ({places})",
                [tuple(row) for row in rows],
            )

"""Creates an empty source database from the model's declarations."""

from collections.abc import Iterator

from totesys.connection import Connection
from totesys.schema import Model, sorted_by_references
from totesys.sql import ident, literal, qualified
from totesys.sql_keys import key_list
from totesys.table import Column, SourceQuery, SourceTable
from totesys.types import BIGINT, INTEGER, ColumnType

SERIAL = {INTEGER: "serial", BIGINT: "bigserial"}


async def create_source(connection: Connection, model: Model, schema: str = "public") -> None:
    """Create the model's source tables and their enum types in `schema`, all or none.

    Raises asyncpg.DuplicateTableError or asyncpg.DuplicateObjectError if one exists.
    """
    async with connection.transaction():
        for statement in source_statements(model, schema):
            await connection.execute(statement)


def publication_statement(model: Model, schema: str, name: str) -> str:
    """The DDL of the publication that capture from the log reads."""
    tables = ", ".join(qualified(schema, table.name) for table in model.sources)
    return f"CREATE PUBLICATION {ident(name)} FOR TABLE {tables}"


def source_statements(model: Model, schema: str = "public") -> Iterator[str]:
    """The DDL, each statement after those that it needs."""
    yield f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}"
    enums = {column.type: None for table in model.sources for column in table.columns if column.type.values}
    for enum in enums:
        labels = ", ".join(literal(label) for label in enum.values)
        yield f"CREATE TYPE {_type(enum, schema)} AS ENUM ({labels})"
    for table in sorted_by_references(one for one in model.sources if not isinstance(one, SourceQuery)):
        yield _create_table(table, schema)


def _create_table(table: SourceTable, schema: str) -> str:
    parts = [_column(table, column, schema) for column in table.columns]
    if len(table.key_names) > 1:
        parts.append(f"PRIMARY KEY ({key_list(table)})")
    return f"CREATE TABLE {qualified(schema, table.name)} ({', '.join(parts)})"


def _column(table: SourceTable, column: Column, schema: str) -> str:
    if table.key_names == (column.name,):
        return f"{ident(column.name)} {SERIAL.get(column.type) or _type(column.type, schema)} PRIMARY KEY"
    return " ".join([ident(column.name), _type(column.type, schema), *_constraints(column, schema)])


def _constraints(column: Column, schema: str) -> Iterator[str]:
    if not column.nullable:
        yield "NOT NULL"
    if column.default:
        yield f"DEFAULT {column.default}"
    if column.unique:
        yield "UNIQUE"
    if column.references:
        yield f"REFERENCES {qualified(schema, column.references)}"
        if column.on_delete:
            yield f"ON DELETE {column.on_delete}"


def _type(column_type: ColumnType, schema: str) -> str:
    """The SQL name of a type. An enum is quoted in its declaration, and is in the schema of the tables."""
    return f"{ident(schema)}.{column_type.postgres}" if column_type.values else column_type.postgres

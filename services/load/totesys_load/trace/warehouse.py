"""All SQL of a trace."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from totesys.connection import Connection
from totesys.sql import ident, qualified
from totesys.table import Fact, WarehouseTable
from totesys_load.ddl import ETL
from totesys_load.trace.records import Deletion, Values

# A key as the database takes it.
Key = int | date | str


@dataclass(frozen=True)
class Row:
    """A row, or a version of a fact."""

    record_id: int | None
    values: Values


@dataclass(frozen=True)
class Applied:
    """A run of the ledger."""

    run: int
    applied_at: datetime


async def rows(
    connection: Connection, schema: str, table: WarehouseTable, key: Key, version: int | None, limit: int
) -> list[Row]:
    """The rows with the key, or the one version; newest first."""
    record_id = ident(table.record_id) if isinstance(table, Fact) else "NULL::bigint"
    texts = ", ".join(f"{ident(name)}::text AS {ident(name)}" for name in table.column_names)
    kind = "::bigint" if isinstance(key, int) else ""
    found = await connection.fetch(
        f'SELECT {record_id} AS "record id", {texts} FROM {qualified(schema, table.name)} '
        f"WHERE {ident(table.key)} = $1{kind} AND ($2::bigint IS NULL OR {record_id} = $2) ORDER BY 1 DESC LIMIT $3",
        key,
        version,
        limit,
    )
    return [Row(row["record id"], {name: row[name] for name in table.column_names}) for row in found]


async def run_of(connection: Connection, lake: UUID, fact: str, record_id: int) -> list[Applied]:
    """The run of the lake that wrote a version: one, or none if another lake's did or nobody knows."""
    # The ranges of a fact are apart from each other: the first that does not end before the version.
    range_ = (
        f"(lake, run) = (SELECT lake, run FROM {ETL}.run_table WHERE table_name = $2 AND last_record_id >= $3 "
        "ORDER BY last_record_id, first_record_id LIMIT 1) AND first_record_id <= $3"
    )
    return await _runs(connection, lake, fact, range_, record_id, limit=1)


async def runs_with(connection: Connection, lake: UUID, table: str, limit: int) -> list[Applied]:
    """The newest runs of the lake that had rows of the table."""
    return await _runs(connection, lake, table, "rows_read > 0", limit=limit)


async def _runs(
    connection: Connection, lake: UUID, table: str, condition: str, *values: int, limit: int
) -> list[Applied]:
    found = await connection.fetch(
        f"SELECT run, applied_at FROM {ETL}.run JOIN {ETL}.run_table USING (lake, run) "
        f"WHERE lake = $1 AND table_name = $2 AND {condition} ORDER BY run DESC LIMIT {limit}",
        lake,
        table,
        *values,
    )
    return [Applied(row["run"], row["applied_at"]) for row in found]


async def deletions(connection: Connection, lake: UUID, table: str, key: Key) -> list[Deletion]:
    """When the id was found deleted, newest first; only integer keys are swept."""
    if not isinstance(key, int):
        return []
    found = await connection.fetch(
        f"SELECT run, deleted_at, returned_run, returned_at FROM {ETL}.deletion "
        "WHERE lake = $1 AND table_name = $2 AND id = $3 ORDER BY run DESC",
        lake,
        table,
        key,
    )
    return [Deletion(**row) for row in found]

"""SQL of a trace."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from totesys.connection import Connection
from totesys.schema import ETL
from totesys.sql import ident, qualified
from totesys.sql_keys import key_among, keys_parameter
from totesys.table import Fact, WarehouseTable
from totesys_load.trace.origin_models import Deletion, Values


@dataclass(frozen=True)
class AppliedRun:
    """A run in the ledger."""

    run: int
    applied_at: datetime


async def find_versions(
    connection: Connection, schema: str, table: WarehouseTable, key: str, version: int | None, limit: int
) -> list[tuple[int | None, Values]]:
    """The versions of a key, newest first, or only one `version`: version id (None in a dimension) and values."""
    version_id = ident(table.record_id) if isinstance(table, Fact) else "NULL::bigint"
    texts = ", ".join(f"{ident(name)}::text AS {ident(name)}" for name in table.column_names)
    found = await connection.fetch(
        f'SELECT {version_id} AS "version id", {texts} FROM {qualified(schema, table.name)} '
        f"WHERE {key_among(table)} AND ($2::bigint IS NULL OR {version_id} = $2) ORDER BY 1 DESC LIMIT $3",
        keys_parameter(table, [key]),
        version,
        limit,
    )
    return [(row["version id"], {name: row[name] for name in table.column_names}) for row in found]


async def run_of_version(connection: Connection, lake: UUID, fact: str, version_id: int) -> list[AppliedRun]:
    """The run of the lake that wrote a version; none if another lake's run or another tool wrote it."""
    # The ranges of a fact do not overlap: it is the first one that does not end before the version.
    in_range = (
        f"(lake, run) = (SELECT lake, run FROM {ETL}.run_table WHERE table_name = $2 AND last_record_id >= $3 "
        "ORDER BY last_record_id, first_record_id LIMIT 1) AND first_record_id <= $3"
    )
    return await _runs(connection, lake, fact, in_range, version_id, limit=1)


async def runs_with(connection: Connection, lake: UUID, table: str, limit: int) -> list[AppliedRun]:
    """The newest runs of the lake that had rows of the table."""
    return await _runs(connection, lake, table, "rows_read > 0", limit=limit)


async def _runs(
    connection: Connection, lake: UUID, table: str, condition: str, *values: int, limit: int
) -> list[AppliedRun]:
    query = (
        f"SELECT run, applied_at FROM {ETL}.run JOIN {ETL}.run_table USING (lake, run) "
        f"WHERE lake = $1 AND table_name = $2 AND {condition} ORDER BY run DESC LIMIT {limit}"
    )
    return [AppliedRun(**row) for row in await connection.fetch(query, lake, table, *values)]


async def find_deletions(connection: Connection, lake: UUID, table: WarehouseTable, key: str) -> list[Deletion]:
    """The deletions of a key, newest first."""
    of_key = "id = $3::text::bigint" if table.has_integer_key else "key = $3"
    query = (
        f"SELECT run, deleted_at, returned_run, returned_at FROM {ETL}.deletion "
        f"WHERE lake = $1 AND table_name = $2 AND {of_key} ORDER BY run DESC"
    )
    return [Deletion(**row) for row in await connection.fetch(query, lake, table.name, key)]

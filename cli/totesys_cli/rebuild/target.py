"""Whether a warehouse is one that may be rebuilt: empty, or begun from the same lake and nothing else."""

from uuid import UUID

import asyncpg

from totesys.connection import Connection, connect, redacted
from totesys.schema import ETL, Model
from totesys.sql import ident, qualified
from totesys.table import Fact, WarehouseTable
from totesys_cli.errors import BadInput
from totesys_load.warehouse_connection import WHAT

_LEAST, _GREATEST = -(2**63), 2**63 - 1

# Record ids between the ranges of the ledger, before the first and after the last.
_GAPS = f"""
    SELECT last_record_id AS below, lead(first_record_id, 1, {_GREATEST}) OVER (ORDER BY first_record_id) AS above
    FROM (SELECT first_record_id, last_record_id FROM {ETL}.run_table
          WHERE table_name = $1 AND first_record_id <= last_record_id
          UNION ALL SELECT {_LEAST}, {_LEAST}) AS ranges"""


async def applied_runs(dsn: str, schema: str, model: Model, lake: UUID) -> int:
    """How many runs of the lake are in the warehouse. Raises BadInput if anything else is.

    Raises DatabaseUnavailable, AccessDenied or SettingsError if it cannot be read.
    """
    async with connect(WHAT, dsn) as connection:
        try:
            rows = await connection.fetch(f"SELECT lake, count(*) FROM {ETL}.run GROUP BY lake")
        except asyncpg.UndefinedTableError:
            rows = []
        counts = {row[0]: int(row[1]) for row in rows}
        where = f"The warehouse at {redacted(dsn)}, schema {schema},"
        if others := counts.keys() - {lake}:
            raise BadInput(f"{where} has runs of another lake, {others.pop()}. Name an empty database.")
        for table in model.tables:
            if await _has_other_rows(connection, schema, table, ledger=bool(counts)):
                raise BadInput(f"{where} has rows of {table.name} that no run has written. Name an empty database.")
    return counts.get(lake, 0)


async def _has_other_rows(connection: Connection, schema: str, table: WarehouseTable, *, ledger: bool) -> bool:
    """Whether the table holds what no run of the ledger has written; of a dimension that runs wrote, nobody knows."""
    name = qualified(schema, table.name)
    if await connection.fetchval("SELECT to_regclass($1)", name) is None:
        return False
    if not ledger:
        return bool(await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})"))
    if isinstance(table, Fact):
        record_id = f"f.{ident(table.record_id)}"
        query = (
            f"SELECT EXISTS (SELECT FROM ({_GAPS}) AS gap CROSS JOIN LATERAL (SELECT FROM {name} AS f "
            f"WHERE {record_id} > gap.below AND {record_id} < gap.above LIMIT 1) AS other)"
        )
    else:
        written = f"SELECT FROM {ETL}.run_table WHERE table_name = $1 AND rows_written > 0"
        query = f"SELECT NOT EXISTS ({written}) AND EXISTS (SELECT FROM {name})"
    return bool(await connection.fetchval(query, table.name))

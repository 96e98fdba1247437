"""All SQL of deletions: ids that a sweep did not find, until a run brings them again."""

from totesys.connection import Connection
from totesys.lake.records import ProcessedManifest
from totesys.sql import ident, qualified
from totesys.table import KEY_RANGES, Fact, WarehouseTable
from totesys_load.ddl import ETL
from totesys_load.merge import INCOMING, count

PRESENT = "present"

# Between two ranges, before the first and after the last.
_GAPS = f"""
SELECT last_key AS low, lead(first_key, 1, {2**63 - 1}) OVER (ORDER BY first_key) AS high
FROM (SELECT first_key, last_key FROM pg_temp.{PRESENT} UNION ALL SELECT {-(2**63)}, {-(2**63)}) AS bounded
"""


async def make_present(connection: Connection) -> None:
    """An empty temporary table for the ranges of keys that the source has."""
    columns = ", ".join(f"{ident(column.name)} {column.type.postgres} NOT NULL" for column in KEY_RANGES.columns)
    await connection.execute(f"CREATE TEMPORARY TABLE {PRESENT} ({columns}) ON COMMIT DROP")


async def take_absent(connection: Connection, schema: str, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record the ids of a table that are in no range as deleted, where they are not yet; drops the ranges.

    The way there is through the key's index, gap by gap: the fewer gaps the quicker, however large the table.
    """
    await connection.execute(f"ANALYZE pg_temp.{PRESENT}")
    key = ident(table.key)
    absent = f"SELECT t.{key}::bigint AS id FROM gap JOIN {qualified(schema, table.name)} AS t ON {_inside(f't.{key}')}"
    if isinstance(table, Fact):
        # The versions of an id may all be orphans.
        absent += f" UNION SELECT o.id FROM gap JOIN {ETL}.orphan AS o ON {_inside('o.id')} WHERE o.table_name = $1"
    status = await connection.execute(
        f"WITH gap AS ({_GAPS}), absent AS ({absent}) "
        f"INSERT INTO {ETL}.deletion (table_name, id, lake, run, deleted_at) "
        "SELECT DISTINCT $1, id, $2::uuid, $3::bigint, $4::timestamptz FROM absent "
        f"WHERE NOT EXISTS (SELECT FROM {ETL}.deletion AS d WHERE d.table_name = $1 AND d.id = absent.id "
        "AND d.returned_run IS NULL)",
        table.name,
        manifest.lake,
        manifest.run,
        manifest.snapshot_time,
    )
    await connection.execute(f"DROP TABLE pg_temp.{PRESENT}")
    return count(status)


async def take_back(connection: Connection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Note that the incoming ids are there again, where they were deleted; how many were."""
    if not table.column(table.key).type.is_integer:
        return 0
    status = await connection.execute(
        f"UPDATE {ETL}.deletion AS d SET returned_run = $2, returned_at = $3 FROM pg_temp.{INCOMING} AS i "
        f"WHERE d.table_name = $1 AND d.returned_run IS NULL AND d.id = i.{ident(table.key)}",
        table.name,
        manifest.run,
        manifest.snapshot_time,
    )
    return count(status)


async def has_deleted_between(connection: Connection, table: WarehouseTable, first: int, last: int) -> bool:
    """Whether an id from `first` to `last` is deleted."""
    query = (
        f"SELECT EXISTS (SELECT FROM {ETL}.deletion WHERE table_name = $1 AND id BETWEEN $2 AND $3 "
        "AND returned_run IS NULL)"
    )
    return bool(await connection.fetchval(query, table.name, first, last))


def _inside(key: str) -> str:
    return f"{key} > gap.low AND {key} < gap.high"

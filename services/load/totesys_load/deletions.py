"""SQL of deletions: keys that a sweep did not find or no row was built from, until a run brings them again."""

from totesys.connection import Connection
from totesys.lake.records import ProcessedManifest
from totesys.schema import ETL
from totesys.sql import ident
from totesys.table import KEY_RANGES, Fact, WarehouseTable
from totesys_load.staging import INCOMING
from totesys_load.warehouse_connection import WarehouseConnection

RANGES = "ranges"

# Between two ranges, before the first and after the last.
_GAPS = f"""
SELECT last_key AS low, lead(first_key, 1, {2**63 - 1}) OVER (ORDER BY first_key) AS high
FROM (SELECT first_key, last_key FROM pg_temp.{RANGES} UNION ALL SELECT {-(2**63)}, {-(2**63)}) AS bounded
"""


async def make_ranges(connection: Connection) -> None:
    """Create an empty temporary table for key ranges."""
    columns = ", ".join(f"{ident(column.name)} {column.type.postgres} NOT NULL" for column in KEY_RANGES.columns)
    await connection.execute(f"CREATE TEMPORARY TABLE {RANGES} ({columns}) ON COMMIT DROP")


async def record_absent(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record the table's keys in no range as deleted, unless they are already, and drop the ranges. Returns the keys.

    The query visits gap after gap through the key's index: its cost depends on the gaps, not on the table's size.
    """
    await warehouse.connection.execute(f"ANALYZE pg_temp.{RANGES}")
    key = ident(table.key)
    gone = f"SELECT t.{key}::bigint AS id FROM gap JOIN {warehouse.relation(table)} AS t ON {_inside(f't.{key}')}"
    if isinstance(table, Fact):
        # All versions of a key may be waiting for a dimension row.
        gone += f" UNION SELECT o.id FROM gap JOIN {ETL}.orphan AS o ON {_inside('o.id')} WHERE o.table_name = $1"
    return await _record(warehouse, table, manifest, f"WITH gap AS ({_GAPS}), gone AS ({gone})")


async def record_left_out(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record the table's keys in a range as deleted, unless they are already, and drop the ranges. Returns the keys."""
    await warehouse.connection.execute(f"ANALYZE pg_temp.{RANGES}")
    key, left_out = ident(table.key), f"pg_temp.{RANGES} AS r"
    gone = (
        f"SELECT t.{key}::bigint AS id FROM {left_out} JOIN {warehouse.relation(table)} AS t "
        f"ON t.{key} BETWEEN r.first_key AND r.last_key"
    )
    if isinstance(table, Fact):
        gone += (
            f" UNION SELECT o.id FROM {left_out} JOIN {ETL}.orphan AS o ON o.id BETWEEN r.first_key AND r.last_key "
            "WHERE o.table_name = $1"
        )
    return await _record(warehouse, table, manifest, f"WITH gone AS ({gone})")


async def _record(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest, gone: str) -> int:
    """Record the ids of the relation `gone` as deleted, unless they are already, and drop the ranges."""
    deleted = await warehouse.write(
        f"{gone} INSERT INTO {ETL}.deletion (table_name, id, lake, run, deleted_at) "
        "SELECT DISTINCT $1, id, $2::uuid, $3::bigint, $4::timestamptz FROM gone "
        f"WHERE NOT EXISTS (SELECT FROM {ETL}.deletion AS d WHERE d.table_name = $1 AND d.id = gone.id "
        "AND d.returned_run IS NULL)",
        table.name,
        manifest.lake,
        manifest.run,
        manifest.snapshot_time,
    )
    await warehouse.connection.execute(f"DROP TABLE pg_temp.{RANGES}")
    return deleted


async def record_returned(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record that deleted keys among the incoming rows exist again. Returns the number of keys."""
    if not table.column(table.key).type.is_integer:
        return 0
    return await warehouse.write(
        f"UPDATE {ETL}.deletion AS d SET returned_run = $2, returned_at = $3 FROM pg_temp.{INCOMING} AS i "
        f"WHERE d.table_name = $1 AND d.returned_run IS NULL AND d.id = i.{ident(table.key)}",
        table.name,
        manifest.run,
        manifest.snapshot_time,
    )


def _inside(key: str) -> str:
    return f"{key} > gap.low AND {key} < gap.high"

"""SQL of deletions: keys that a sweep did not find or no row was built from, until a run brings them again."""

from totesys.connection import Connection
from totesys.lake.records import ProcessedManifest
from totesys.schema import ETL
from totesys.sql import ident, literal
from totesys.sql_keys import is_deletion_of, key_number, key_text, same_key
from totesys.table import Fact, WarehouseTable
from totesys_load.staging import INCOMING
from totesys_load.warehouse_connection import WarehouseConnection

KEYS = "swept"
_KEYS = f"pg_temp.{KEYS}"
# With its type: a literal as small as that would be numeric, and use no index.
_LEAST, _GREATEST = f"'{-(2**63)}'::bigint", 2**63 - 1

# What is between the ranges, before the first and after the last.
_GAPS = f"""
SELECT last_key + 1 AS low, high
FROM (SELECT last_key, coalesce(lead(first_key) OVER (ORDER BY first_key) - 1, {_GREATEST}) AS high
      FROM {_KEYS}) AS ranges
WHERE last_key < {_GREATEST}
UNION ALL
SELECT {_LEAST}, coalesce(min(first_key) - 1, {_GREATEST}) FROM {_KEYS} HAVING coalesce(min(first_key), 0) > {_LEAST}
"""


async def make_keys(connection: Connection, table: WarehouseTable) -> None:
    """Create an empty temporary table for keys of the table."""
    columns = ", ".join(f"{ident(column.name)} {column.type.postgres} NOT NULL" for column in table.keys.columns)
    await connection.execute(f"CREATE TEMPORARY TABLE {KEYS} ({columns}) ON COMMIT DROP")


async def record_absent(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record the table's keys that are not among the keys as deleted, unless they are already. Returns their number.

    With ranges, the query visits gap after gap through the key's index: its cost depends on the gaps, not on the
    table's size.
    """
    if not table.has_integer_key:
        return await _record(warehouse, table, manifest, "NOT EXISTS")
    gaps = f"({_GAPS}) AS r JOIN {{}} BETWEEN r.low AND r.high"
    return await _record_in_ranges(warehouse, table, manifest, gaps)


async def record_left_out(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record the table's keys among the keys as deleted, unless they are already. Returns their number."""
    if not table.has_integer_key:
        return await _record(warehouse, table, manifest, "EXISTS")
    return await _record_in_ranges(
        warehouse, table, manifest, f"{_KEYS} AS r JOIN {{}} BETWEEN r.first_key AND r.last_key"
    )


async def _record_in_ranges(
    warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest, ranges: str
) -> int:
    """Record the integer keys in ranges. `ranges` joins them with a relation and its key, which it lacks."""
    key = ident(table.only_key)
    gone = f"SELECT t.{key}::bigint, NULL FROM {ranges.format(f'{warehouse.relation(table)} AS t ON t.{key}')}"
    if isinstance(table, Fact):
        # All versions of a key may be waiting for a dimension row.
        orphans = f"{ETL}.orphan AS o ON o.table_name = $1 AND o.id"
        gone += f" UNION SELECT o.id, NULL FROM {ranges.format(orphans)}"
    return await _insert(warehouse, table, manifest, gone)


async def _record(
    warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest, exists: str
) -> int:
    """Record the keys that are, or are not, among the keys of the temporary table."""
    relations = [warehouse.relation(table)]
    if isinstance(table, Fact):
        values = ", ".join(f"(row->>{literal(column.name)})::{column.type.postgres} AS {ident(column.name)}"
                           for column in table.key_columns)  # fmt: skip
        relations.append(f"(SELECT {values} FROM {ETL}.orphan WHERE table_name = $1)")
    gone = " UNION ".join(
        f"SELECT {key_number(table, 't')}, {key_text(table, 't')} FROM {relation} AS t "
        f"WHERE {exists} (SELECT FROM {_KEYS} AS k WHERE {same_key(table, 't', 'k')})"
        for relation in relations
    )
    return await _insert(warehouse, table, manifest, gone)


async def _insert(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest, gone: str) -> int:
    """Record the keys of the query `gone` as deleted, unless they are already, and drop the temporary table."""
    await warehouse.connection.execute(f"ANALYZE {_KEYS}")
    deleted = await warehouse.write(
        f"WITH gone (id, key) AS ({gone}) INSERT INTO {ETL}.deletion (table_name, id, key, lake, run, deleted_at) "
        "SELECT DISTINCT $1, id, key, $2::uuid, $3::bigint, $4::timestamptz FROM gone "
        f"WHERE NOT EXISTS (SELECT FROM {ETL}.deletion AS d WHERE d.table_name = $1 AND d.id = gone.id "
        "AND d.returned_run IS NULL)",
        table.name,
        manifest.lake,
        manifest.run,
        manifest.snapshot_time,
    )
    await warehouse.connection.execute(f"DROP TABLE {_KEYS}")
    return deleted


async def record_returned(warehouse: WarehouseConnection, table: WarehouseTable, manifest: ProcessedManifest) -> int:
    """Record that deleted keys among the incoming rows exist again. Returns the number of keys."""
    return await warehouse.write(
        f"UPDATE {ETL}.deletion AS d SET returned_run = $2, returned_at = $3 FROM pg_temp.{INCOMING} AS i "
        f"WHERE d.table_name = $1 AND d.returned_run IS NULL AND {is_deletion_of(table, 'd', 'i')}",
        table.name,
        manifest.run,
        manifest.snapshot_time,
    )

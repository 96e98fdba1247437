"""SQL that brings a run's rows into the warehouse, through a temporary table where existing rows may match."""

from dataclasses import dataclass

from totesys.connection import Connection
from totesys.schema import ETL
from totesys.sql import column_list, ident, literal
from totesys.sql_keys import is_waiting_version_of, key_list, same_key
from totesys.table import Column, Dimension, Fact, WarehouseTable
from totesys_load.ddl import same_columns
from totesys_load.warehouse_connection import WarehouseConnection

INCOMING = "incoming"
_INCOMING = f"pg_temp.{INCOMING}"
# Above every version id.
_LAST_VERSION_ID = 2**63 - 1


@dataclass(frozen=True)
class Upserted:
    """How many rows of a dimension were updated and inserted."""

    updated: int = 0
    inserted: int = 0

    @property
    def written(self) -> int:
        return self.updated + self.inserted


async def make_incoming(warehouse: WarehouseConnection, table: WarehouseTable) -> None:
    """Create an empty temporary table with the declared columns, dropped when the transaction ends."""
    await warehouse.connection.execute(
        f"CREATE TEMPORARY TABLE {INCOMING} ON COMMIT DROP AS "
        f"SELECT {', '.join(map(_as_declared, table.columns))} FROM {warehouse.relation(table)} WITH NO DATA"
    )


def _as_declared(column: Column) -> str:
    """The type is the one that COPY brings. The collation stays the target's, so that texts can be compared."""
    return f"CAST({ident(column.name)} AS {column.type.postgres}) AS {ident(column.name)}"


async def drop_incoming(connection: Connection) -> None:
    """Drop the temporary table, so that the next table can have one."""
    await connection.execute(f"DROP TABLE {_INCOMING}")


async def analyze_incoming(connection: Connection, table: WarehouseTable) -> None:
    """Give the planner the number of rows and the spread of their keys. It needs no other column."""
    await connection.execute(f"ANALYZE {_INCOMING} ({key_list(table)})")


async def upsert_dimension(warehouse: WarehouseConnection, dimension: Dimension, rows: int) -> Upserted:
    """Update and insert the incoming rows of a dimension; `rows` is their number.

    Two statements, because ON CONFLICT writes a lock to every row that it meets, even where nothing differs. If every
    row was updated, none is new.
    """
    target, same = warehouse.relation(dimension), same_key(dimension, "t", "i")
    updated = 0
    if others := [name for name in dimension.column_names if name not in dimension.key_names]:
        assignments = ", ".join(f"{ident(name)} = i.{ident(name)}" for name in others)
        updated = await warehouse.write(
            f"UPDATE {target} AS t SET {assignments} FROM {_INCOMING} AS i "
            f"WHERE {same} AND NOT {same_columns(dimension, 't', 'i')}"
        )
    if updated == rows:
        return Upserted(updated)
    columns = column_list(dimension.column_names)
    inserted = await warehouse.write(
        f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {_INCOMING} AS i "
        f"WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE {same}) ORDER BY {key_list(dimension)}"
    )
    return Upserted(updated, inserted)


async def append_versions(warehouse: WarehouseConnection, fact: Fact) -> int:
    """Append each incoming row that differs from the newest version of its key. Returns the number of versions."""
    newest = await _newest(warehouse, fact, _LAST_VERSION_ID)
    # Sorted before the lookups, not after them: they then visit the pages of the index and the table in order.
    return await warehouse.write(
        f"INSERT INTO {warehouse.relation(fact)} ({column_list(fact.column_names)}) "
        f"SELECT {column_list(fact.column_names, 'i')} FROM (SELECT * FROM {_INCOMING} ORDER BY {key_list(fact)}) AS i "
        f"{newest.join} WHERE NOT {newest.is_unchanged} ORDER BY {key_list(fact, 'i')}",
        *newest.parameters,
    )


async def drop_unchanged(warehouse: WarehouseConnection, fact: Fact, first: int) -> int:
    """Delete the incoming rows that equal their key's newest version before `first`. Returns how many are left."""
    newest = await _newest(warehouse, fact, first - 1)
    await warehouse.connection.execute(
        f"DELETE FROM {_INCOMING} AS known USING (SELECT {key_list(fact, 'i')} FROM {_INCOMING} AS i "
        f"{newest.join} WHERE {newest.is_unchanged}) AS same WHERE {same_key(fact, 'known', 'same')}",
        *newest.parameters,
    )
    return int(await warehouse.connection.fetchval(f"SELECT count(*) FROM {_INCOMING}"))


@dataclass(frozen=True)
class _Newest:
    """Joins an incoming row `i` with its key's newest version, and tells whether the row equals it."""

    join: str
    is_unchanged: str
    parameters: tuple[object, ...]


async def _newest(warehouse: WarehouseConnection, fact: Fact, last: int) -> _Newest:
    """The newest version up to version id `last`: `n`, or `o` if a newer version waits for a dimension row.

    Only a fact that has such rows pays for looking them up.
    """
    version_id = ident(fact.record_id)
    join = (
        f"LEFT JOIN LATERAL (SELECT * FROM {warehouse.relation(fact)} AS f WHERE {same_key(fact, 'f', 'i')} "
        f"AND f.{version_id} <= $1 ORDER BY f.{version_id} DESC LIMIT 1) AS n ON true"
    )
    is_unchanged = f"(n.{version_id} IS NOT NULL AND {same_columns(fact, 'n', 'i')})"
    if not await warehouse.exists(f"SELECT FROM {ETL}.orphan WHERE table_name = $1", fact.name):
        return _Newest(join, is_unchanged, (last,))
    names = ", ".join(literal(name) for name in fact.column_names)
    texts = ", ".join(f"i.{ident(name)}::text" for name in fact.column_names)
    return _Newest(
        f"{join} LEFT JOIN LATERAL (SELECT w.row FROM {ETL}.orphan AS w WHERE w.table_name = $2 "
        f"AND {is_waiting_version_of(fact, 'w', 'i')} AND w.record_id <= $1 "
        f"AND w.record_id > coalesce(n.{version_id}, 0) ORDER BY w.record_id DESC LIMIT 1) AS o ON true",
        f"CASE WHEN o.row IS NOT NULL THEN o.row = jsonb_object(ARRAY[{names}], ARRAY[{texts}]) "
        f"ELSE {is_unchanged} END",
        (last, fact.name),
    )


async def delete_versions(warehouse: WarehouseConnection, fact: Fact, first: int, last: int) -> None:
    """Delete the versions with the ids `first` to `last`, to make room for others."""
    query = f"DELETE FROM {warehouse.relation(fact)} WHERE {ident(fact.record_id)} BETWEEN $1 AND $2"
    await warehouse.connection.execute(query, first, last)


async def number_incoming(connection: Connection, fact: Fact, numbers: str) -> int:
    """Give the incoming rows version ids in the order of their keys. Returns the greatest, or 0 if there are none.

    `numbers` is SQL for the ids, such as `nextval(…)` or `numbers_from`.
    """
    await connection.execute(
        f"ALTER TABLE {_INCOMING} RENAME TO unnumbered;"
        f"CREATE TEMPORARY TABLE {INCOMING} ON COMMIT DROP AS SELECT {numbers} AS {ident(fact.record_id)}, i.* "
        f"FROM (SELECT * FROM pg_temp.unnumbered ORDER BY {key_list(fact)}) AS i;"
        f"DROP TABLE pg_temp.unnumbered"
    )
    return int(await connection.fetchval(f"SELECT coalesce(max({ident(fact.record_id)}), 0) FROM {_INCOMING}"))


def numbers_from(first: int) -> str:
    """SQL for consecutive version ids from `first`."""
    return f"{first - 1} + row_number() OVER ()"


async def insert_incoming(warehouse: WarehouseConnection, fact: Fact) -> None:
    """Insert the incoming rows with their version ids."""
    columns = column_list((fact.record_id, *fact.column_names))
    await warehouse.connection.execute(
        f"INSERT INTO {warehouse.relation(fact)} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {columns} FROM {_INCOMING} ORDER BY {ident(fact.record_id)}"
    )


async def last_version_id(warehouse: WarehouseConnection, fact: Fact) -> int:
    """The greatest version id of a fact, or 0 if it has no row."""
    query = f"SELECT coalesce(max({ident(fact.record_id)}), 0) FROM {warehouse.relation(fact)}"
    return int(await warehouse.connection.fetchval(query))

"""All SQL that brings rows into the warehouse."""

from dataclasses import dataclass

from totesys.connection import Connection
from totesys.schema import Model
from totesys.sql import column_list, ident, literal, qualified
from totesys.table import Column, Dimension, Fact, WarehouseTable
from totesys_load.ddl import ETL, same_columns

INCOMING = "incoming"
REFERENCED = "referenced"
# Above every record id.
LAST_RECORD_ID = 2**63 - 1


def count(status: str) -> int:
    """The rows that a statement's status names."""
    return int(status.rpartition(" ")[2])


async def make_incoming(connection: Connection, schema: str, table: WarehouseTable) -> None:
    """An empty temporary table with the declared columns, until the transaction ends or it is dropped."""
    await connection.execute(
        f"CREATE TEMPORARY TABLE {INCOMING} ON COMMIT DROP AS "
        f"SELECT {', '.join(map(_as_declared, table.columns))} FROM {qualified(schema, table.name)} WITH NO DATA"
    )


def _as_declared(column: Column) -> str:
    """The type is what COPY brings; the collation stays the target's, so that texts can be compared with its."""
    return f"CAST({ident(column.name)} AS {column.type.postgres}) AS {ident(column.name)}"


async def drop_incoming(connection: Connection) -> None:
    """Make room for the next table's."""
    await connection.execute(f"DROP TABLE pg_temp.{INCOMING}")


async def analyze_incoming(connection: Connection) -> None:
    """Let the planner know how many rows came."""
    await connection.execute(f"ANALYZE pg_temp.{INCOMING}")


@dataclass(frozen=True)
class Upserted:
    """How many rows of a dimension got other values, and how many are new."""

    updated: int
    inserted: int

    @property
    def written(self) -> int:
        return self.updated + self.inserted


async def upsert_dimension(connection: Connection, schema: str, table: Dimension) -> Upserted:
    """Bring the incoming rows into a dimension.

    Two statements, because ON CONFLICT writes a lock to every row that it meets, also where nothing differs.
    """
    target, key = qualified(schema, table.name), ident(table.key)
    others = [name for name in table.column_names if name != table.key]
    updated = "UPDATE 0"
    if others:
        assignments = ", ".join(f"{ident(name)} = i.{ident(name)}" for name in others)
        updated = await connection.execute(
            f"UPDATE {target} AS t SET {assignments} FROM pg_temp.{INCOMING} AS i "
            f"WHERE t.{key} = i.{key} AND NOT {same_columns(table, 't', 'i')}"
        )
    columns = column_list(table.column_names)
    inserted = await connection.execute(
        f"INSERT INTO {target} ({columns}) SELECT {columns} FROM pg_temp.{INCOMING} AS i "
        f"WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE t.{key} = i.{key}) ORDER BY {key}"
    )
    return Upserted(count(updated), count(inserted))


async def append_versions(connection: Connection, schema: str, fact: Fact) -> int:
    """Append each incoming row that differs from its key's newest version; how many were written."""
    status = await connection.execute(
        f"INSERT INTO {qualified(schema, fact.name)} ({column_list(fact.column_names)}) "
        f"SELECT {column_list(fact.column_names, 'i')} FROM pg_temp.{INCOMING} AS i {_newest(schema, fact)} "
        f"WHERE NOT {_is_known(fact)} ORDER BY i.{ident(fact.key)}",
        fact.name,
        LAST_RECORD_ID,
    )
    return count(status)


async def leave_out_known(connection: Connection, schema: str, fact: Fact, first: int) -> int:
    """Remove the incoming rows that do not differ from their key's newest version before `first`; how many are left."""
    key = ident(fact.key)
    await connection.execute(
        f"DELETE FROM pg_temp.{INCOMING} AS known USING (SELECT i.{key} FROM pg_temp.{INCOMING} AS i "
        f"{_newest(schema, fact)} WHERE {_is_known(fact)}) AS same WHERE known.{key} = same.{key}",
        fact.name,
        first - 1,
    )
    return int(await connection.fetchval(f"SELECT count(*) FROM pg_temp.{INCOMING}"))


def _newest(schema: str, fact: Fact) -> str:
    """Joins to an incoming row `i` its key's newest version up to record id $2: `n`, and `o` if an orphan is newer."""
    key, record_id = ident(fact.key), ident(fact.record_id)
    return (
        f"LEFT JOIN LATERAL (SELECT * FROM {qualified(schema, fact.name)} AS f WHERE f.{key} = i.{key} "
        f"AND f.{record_id} <= $2 ORDER BY f.{record_id} DESC LIMIT 1) AS n ON true "
        f"LEFT JOIN LATERAL (SELECT row FROM {ETL}.orphan WHERE table_name = $1 AND id = i.{key} "
        f"AND record_id <= $2 AND record_id > coalesce(n.{record_id}, 0) ORDER BY record_id DESC LIMIT 1) AS o ON true"
    )


def _is_known(fact: Fact) -> str:
    """SQL that is true where the incoming row `i` is as its key's newest version."""
    names = ", ".join(literal(name) for name in fact.column_names)
    texts = ", ".join(f"i.{ident(name)}::text" for name in fact.column_names)
    return (
        f"CASE WHEN o.row IS NOT NULL THEN o.row = jsonb_object(ARRAY[{names}], ARRAY[{texts}]) "
        f"ELSE n.{ident(fact.record_id)} IS NOT NULL AND {same_columns(fact, 'n', 'i')} END"
    )


async def delete_versions(connection: Connection, schema: str, fact: Fact, first: int, last: int) -> None:
    """Make room for other versions with the record ids `first` to `last`."""
    query = f"DELETE FROM {qualified(schema, fact.name)} WHERE {ident(fact.record_id)} BETWEEN $1 AND $2"
    await connection.execute(query, first, last)


def numbers_of(sequence: str) -> str:
    """SQL that gives each row the next record id of a sequence, which is named as SQL names it."""
    return f"nextval({literal(sequence)})"


def numbers_from(first: int) -> str:
    """SQL that gives each row the next record id from `first`."""
    return f"{first - 1} + row_number() OVER ()"


async def number_incoming(connection: Connection, fact: Fact, numbers: str) -> int:
    """Give the incoming rows record ids, in the order of their keys; the greatest, 0 if there is no row."""
    await connection.execute(
        f"ALTER TABLE pg_temp.{INCOMING} RENAME TO unnumbered;"
        f"CREATE TEMPORARY TABLE {INCOMING} ON COMMIT DROP AS SELECT {numbers} AS {ident(fact.record_id)}, i.* "
        f"FROM (SELECT * FROM pg_temp.unnumbered ORDER BY {ident(fact.key)}) AS i;"
        f"DROP TABLE pg_temp.unnumbered"
    )
    query = f"SELECT coalesce(max({ident(fact.record_id)}), 0) FROM pg_temp.{INCOMING}"
    return int(await connection.fetchval(query))


async def insert_incoming(connection: Connection, schema: str, fact: Fact) -> None:
    """Insert the incoming rows, which have their record ids."""
    columns = column_list((fact.record_id, *fact.column_names))
    await connection.execute(
        f"INSERT INTO {qualified(schema, fact.name)} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {columns} FROM pg_temp.{INCOMING} ORDER BY {ident(fact.record_id)}"
    )


async def has_rows(connection: Connection, schema: str, table: WarehouseTable) -> bool:
    """Whether the table has any row."""
    return bool(await connection.fetchval(f"SELECT EXISTS (SELECT FROM {qualified(schema, table.name)})"))


async def has_key_between(connection: Connection, schema: str, table: WarehouseTable, first: int, last: int) -> bool:
    """Whether the table has a row with a key from `first` to `last`."""
    query = f"SELECT EXISTS (SELECT FROM {qualified(schema, table.name)} WHERE {ident(table.key)} BETWEEN $1 AND $2)"
    return bool(await connection.fetchval(query, first, last))


async def count_keys_between(connection: Connection, schema: str, dimension: Dimension, first: int, last: int) -> int:
    """How many rows of a dimension have a key from `first` to `last`."""
    query = f"SELECT count(*) FROM {qualified(schema, dimension.name)} WHERE {ident(dimension.key)} BETWEEN $1 AND $2"
    return int(await connection.fetchval(query, first, last))


async def least_record_id(connection: Connection, schema: str, fact: Fact) -> int | None:
    """The least record id of a fact; None if it has no row."""
    query = f"SELECT min({ident(fact.record_id)}) FROM {qualified(schema, fact.name)}"
    least: int | None = await connection.fetchval(query)
    return least


async def last_record_id(connection: Connection, schema: str, fact: Fact) -> int:
    """The greatest record id of a fact; 0 if it has no row."""
    query = f"SELECT coalesce(max({ident(fact.record_id)}), 0) FROM {qualified(schema, fact.name)}"
    return int(await connection.fetchval(query))


async def make_referenced(connection: Connection, schema: str, dimension: Dimension) -> None:
    """An empty temporary table for keys of a dimension."""
    key = ident(dimension.key)
    await connection.execute(
        f"CREATE TEMPORARY TABLE {REFERENCED} ON COMMIT DROP AS "
        f"SELECT CAST({key} AS {dimension.column(dimension.key).type.postgres}) AS key "
        f"FROM {qualified(schema, dimension.name)} WITH NO DATA"
    )


async def take_unknown_keys(connection: Connection, schema: str, dimension: Dimension) -> list[object]:
    """The referenced keys that the dimension has not; drops the temporary table."""
    await connection.execute(f"ANALYZE pg_temp.{REFERENCED}")
    rows = await connection.fetch(
        f"SELECT r.key FROM pg_temp.{REFERENCED} AS r WHERE NOT EXISTS (SELECT FROM "
        f"{qualified(schema, dimension.name)} AS d WHERE d.{ident(dimension.key)} = r.key)"
    )
    await connection.execute(f"DROP TABLE pg_temp.{REFERENCED}")
    return [row["key"] for row in rows]


async def take_out(
    connection: Connection, relation: str, fact: Fact, column: str, keys: list[object], first: int
) -> list[tuple[int, dict[str, str | None]]]:
    """Remove a relation's rows with record ids from `first` whose `column` has one of `keys`; their ids and texts."""
    texts = ", ".join(f"{ident(name)}::text" for name in fact.column_names)
    rows = await connection.fetch(
        f"DELETE FROM {relation} WHERE {ident(fact.record_id)} >= $1 AND {ident(column)} = ANY ($2) "
        f"RETURNING {ident(fact.record_id)}, {texts}",
        first,
        keys,
    )
    return [(row[0], {name: row[name] for name in fact.column_names}) for row in rows]


def references(model: Model, fact: Fact) -> list[tuple[str, Dimension]]:
    """The columns of a fact that refer to a dimension with sources; others hold every key by construction."""
    pairs = [(column.name, model.table(column.references)) for column in fact.columns if column.references]
    return [(name, table) for name, table in pairs if isinstance(table, Dimension) and table.sources]

"""Whether a source table's key identifies a row: a unique index says so, or ingest has to look itself."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from totesys.connection import Connection
from totesys.sql import ident, qualified
from totesys.table import SourceTable

# How many keys that are there more than once a sentence names.
NAMED = 3
# So many changed keys are looked up, each by an index that begins with the key if there is one.
LOOKED_UP = 10_000


@dataclass(frozen=True)
class Guards:
    """What Postgres enforces of a table's rows.

    `unique` are the columns of each valid unique index that covers every row of the table itself, the primary key's
    first. `children` are tables that inherit from it, whose rows it shows and its indexes do not cover. `foreign` are
    foreign tables among its children or partitions.
    """

    unique: tuple[tuple[str, ...], ...] = ()
    children: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def enforce(self, key: str) -> bool:
        """Whether no two rows can have the same key."""
        return (key,) in self.unique and not self.children


# A deferred constraint is a guard as well: a snapshot sees only what was committed, and that was checked.
_GUARDS = """
WITH RECURSIVE family (root, kind, id) AS (
    SELECT c.oid, c.relkind, c.oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
    UNION
    SELECT f.root, f.kind, i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.id
),
descendants AS (
    SELECT f.root, f.kind, d.relkind, d.oid,
           CASE WHEN n.nspname = $1 THEN d.relname::text ELSE n.nspname || '.' || d.relname END AS name
    FROM family f JOIN pg_class d ON d.oid = f.id JOIN pg_namespace n ON n.oid = d.relnamespace
    WHERE f.id <> f.root
)
SELECT c.relname AS name,
       (SELECT json_agg(columns) FROM (
            SELECT (SELECT json_agg(a.attname ORDER BY k.place)
                    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
                    WHERE k.place <= i.indnkeyatts) AS columns
            FROM pg_index i
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indisready
              AND i.indpred IS NULL AND i.indexprs IS NULL
            ORDER BY i.indisprimary DESC, i.indexrelid) AS indexes) AS unique_keys,
       ARRAY(SELECT d.name FROM descendants d WHERE d.root = c.oid AND d.kind <> 'p' ORDER BY 1) AS children,
       ARRAY(SELECT d.name FROM descendants d WHERE d.root = c.oid AND d.relkind = 'f' ORDER BY 1) AS foreign_tables
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
"""


async def read_guards(connection: Connection, schema: str, tables: Iterable[SourceTable]) -> dict[str, Guards]:
    """What guards the key of each table that is there."""
    rows = await connection.fetch(_GUARDS, schema, [table.name for table in tables])
    return {
        row["name"]: Guards(
            unique=tuple(tuple(columns) for columns in json.loads(row["unique_keys"] or "[]")),
            children=tuple(row["children"]),
            foreign=tuple(row["foreign_tables"]),
        )
        for row in rows
    }


def unguarded(table: SourceTable, guards: Guards) -> Iterator[str]:
    """What keeps the declared key from being one. Pure."""
    if guards.foreign:
        yield (
            f"{table.name} is made up of foreign tables, too ({', '.join(guards.foreign)}), "
            "whose rows carry no transaction id"
        )
    if table.unenforced_key or guards.enforce(table.key):
        return
    if (table.key,) not in guards.unique:
        unique = ", ".join(" + ".join(columns) for columns in guards.unique)
        yield f"key {table.name}.{table.key} has no unique index of its own ({unique or 'nothing'} is unique)"
    if guards.children:
        yield (
            f"{table.name} has child tables ({', '.join(guards.children)}), "
            f"whose rows no unique index on {table.key} covers"
        )


async def repeated_keys(connection: Connection, schema: str, table: SourceTable, changed: str | None) -> list[str]:
    """A sentence if a key is there more than once, of all or of those that a row has for which `changed` is true.

    It reads the table once, and looks the changed keys up; where these are many, it groups all keys instead.
    """
    key, relation = ident(table.key), qualified(schema, table.name)
    among, parameters = "", []
    if changed:
        found = await connection.fetch(f"SELECT {key} FROM {relation} WHERE {changed} LIMIT {LOOKED_UP + 1}")
        if not found:
            return []
        if len(found) <= LOOKED_UP:
            among = f"WHERE {key} = ANY ($1::{table.column(table.key).type.postgres}[]) "
            parameters = [[row[0] for row in found]]
    rows = await connection.fetch(
        f"SELECT {key}::text AS key, count(*) AS rows, count(*) OVER () AS keys FROM {relation} {among}"
        f"GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT {NAMED}",
        *parameters,
    )
    if not rows:
        return []
    named = ", ".join(f"{row['key']} {row['rows']} times" for row in rows)
    more = f", and {rows[0]['keys'] - len(rows):,} other keys" if rows[0]["keys"] > len(rows) else ""
    return [f"key {table.name}.{table.key} is not unique: {named}{more}"]

"""What the source's catalog says about the declared tables: columns, keys, definitions and sizes."""

from collections.abc import Iterable

from pydantic import TypeAdapter

from totesys.connection import Connection
from totesys.sql import ident, qualified
from totesys.sql_keys import key_list, key_text
from totesys.table import SourceTable
from totesys_ingest.source_contract import FoundTable, SourceCatalog

# The most duplicate keys that a message names.
NAMED_KEYS = 3
# Up to this many changed keys are looked up one by one, through an index that begins with the key if there is one.
LOOKED_UP_KEYS = 10_000

# Every relation of the schema; columns, guards and definition only of the declared ones. An enum type goes by its bare
# name, as declared, whichever schema it is in and whether or not this role may use that schema, and a domain by the
# type that it restricts. A deferred constraint
# guards a key too: a snapshot sees only what was committed, and the commit checked it.
_CATALOG = """
WITH RECURSIVE family (root, kind, id) AS (
    SELECT c.oid, c.relkind, c.oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
    UNION
    SELECT f.root, f.kind, i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.id
),
descendants AS (
    SELECT f.root, f.kind, d.relkind,
           CASE WHEN n.nspname = $1 THEN d.relname::text ELSE n.nspname || '.' || d.relname END AS name
    FROM family f JOIN pg_class d ON d.oid = f.id JOIN pg_namespace n ON n.oid = d.relnamespace
    WHERE f.id <> f.root
)
SELECT c.relname AS name, json_build_object(
    'kind', c.relkind,
    'schema_usable', has_schema_privilege(n.oid, 'USAGE'),
    'readable', has_table_privilege(c.oid, 'SELECT'),
    'filtered', row_security_active(c.oid),
    'columns', coalesce((
        SELECT json_object_agg(a.attname, json_build_object(
            'type', json_build_object(
                'name', CASE WHEN t.typtype = 'e' THEN '"' || replace(t.typname, '"', '""') || '"'
                             ELSE format_type(b.id, b.modifier) END,
                'labels', CASE WHEN t.typtype = 'e' THEN ARRAY(
                    SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) END),
            'nullable', NOT (a.attnotnull OR b.not_null),
            'readable', has_column_privilege(c.oid, a.attnum, 'SELECT')) ORDER BY a.attnum)
        FROM pg_attribute a CROSS JOIN LATERAL (
            WITH RECURSIVE base (id, modifier, not_null, depth) AS (
                SELECT a.atttypid, a.atttypmod, false, 0
                UNION ALL
                SELECT d.typbasetype, d.typtypmod, b.not_null OR d.typnotnull, b.depth + 1
                FROM base b JOIN pg_type d ON d.oid = b.id AND d.typtype = 'd')
            SELECT * FROM base ORDER BY depth DESC LIMIT 1) AS b JOIN pg_type t ON t.oid = b.id
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = ANY ($2::text[])), '{}'),
    'guards', json_build_object(
        'unique', coalesce((
            SELECT json_agg((
                SELECT json_agg(a.attname ORDER BY k.place)
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
                WHERE k.place <= i.indnkeyatts) ORDER BY i.indisprimary DESC, i.indexrelid)
            FROM pg_index i
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indisready
              AND i.indpred IS NULL AND i.indexprs IS NULL AND c.relname = ANY ($2::text[])), '[]'),
        'referenced_by', ARRAY(
            SELECT DISTINCT r.relname::text FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid
            WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.convalidated),
        'children', ARRAY(SELECT d.name FROM descendants d WHERE d.root = c.oid AND d.kind <> 'p' ORDER BY 1),
        'foreign', ARRAY(SELECT d.name FROM descendants d WHERE d.root = c.oid AND d.relkind = 'f' ORDER BY 1)),
    'definition', CASE WHEN c.relname = ANY ($2::text[]) THEN json_build_object(
        'relations', ARRAY(SELECT f.id::bigint FROM family f WHERE f.root = c.oid ORDER BY 1),
        'columns', (SELECT json_object_agg(a.attname, a.attnum) FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        'labels', coalesce((
            SELECT json_object_agg(a.attname || '.' || e.enumlabel, e.oid::bigint)
            FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '{}')) END
    ) AS found
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (c.relname = ANY ($2::text[]) OR NOT c.relispartition)
ORDER BY c.relname
"""

_PAGES = """
SELECT c.relname AS table_name, pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages,
       current_setting('block_size')::int AS page_bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
"""

_FOUND_TABLE = TypeAdapter(FoundTable)


def base_names(tables: Iterable[SourceTable]) -> list[str]:
    """The tables of the database that the declared ones read."""
    return list(dict.fromkeys(name for table in tables for name in table.base_tables))


async def read_source_catalog(connection: Connection, schema: str, tables: Iterable[SourceTable]) -> SourceCatalog:
    """The relations of the schema, with columns and guards of those that are declared."""
    rows = await connection.fetch(_CATALOG, schema, base_names(tables))
    return {row["name"]: _FOUND_TABLE.validate_json(row["found"]) for row in rows}


async def read_pages(connection: Connection, schema: str, tables: Iterable[SourceTable]) -> tuple[dict[str, int], int]:
    """The size of each table in pages, and the size of a page in bytes."""
    rows = await connection.fetch(_PAGES, schema, base_names(tables))
    return {row["table_name"]: row["pages"] for row in rows}, rows[0]["page_bytes"]


async def find_duplicate_keys(
    connection: Connection, schema: str, table: SourceTable, changed: str | None
) -> str | None:
    """A sentence that names duplicate keys of a table, or None if there are none.

    `changed` is SQL that limits the search to the keys of the rows for which it is true. The search reads the table
    once and looks the changed keys up, or groups all keys if many changed.
    """
    key, relation = key_list(table), qualified(schema, table.name)
    among, parameters = "", []
    if changed:
        texts = ", ".join(f"{ident(name)}::text" for name in table.key_names)
        found = await connection.fetch(f"SELECT {texts} FROM {relation} WHERE {changed} LIMIT {LOOKED_UP_KEYS + 1}")
        if not found:
            return None
        if len(found) <= LOOKED_UP_KEYS:
            kinds = (f"${number}::text[]::{column.type.postgres}[]"
                     for number, column in enumerate(table.key_columns, 1))  # fmt: skip
            among = f"WHERE ({key}) IN (SELECT * FROM unnest({', '.join(kinds)})) "
            parameters = [list(column) for column in zip(*found, strict=True)]
    rows = await connection.fetch(
        f"SELECT {key_text(table)} AS key, count(*) AS rows, count(*) OVER () AS keys FROM {relation} {among}"
        f"GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT {NAMED_KEYS}",
        *parameters,
    )
    if not rows:
        return None
    named = ", ".join(f"{row['key']} ({row['rows']} rows)" for row in rows)
    more = f", and {rows[0]['keys'] - len(rows):,} other keys" if rows[0]["keys"] > len(rows) else ""
    return f"key {table.name}.{table.key_label} is not unique: {named}{more}"

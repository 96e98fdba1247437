"""What the source's publication covers of the declared tables, and fingerprints by which a later run finds changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import asyncpg

from totesys.connection import Connection
from totesys.table import SourceTable

# A table or an operation that is not published leaves no trace in the log, so the ids of the catalog's rows, and the
# transactions that wrote them, have to be the same before and after.
_PUBLICATION = """
SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AS complete,
       concat(p.oid, ':', p.xmin, ':', (
           SELECT string_agg(concat(r.oid, ':', r.xmin), ',' ORDER BY r.oid)
           FROM pg_publication_rel AS r WHERE r.prpubid = p.oid){schemas}) AS fingerprint
FROM pg_publication AS p WHERE p.pubname = $1"""
_SCHEMAS = """, ';', (
           SELECT string_agg(concat(n.oid, ':', n.xmin), ',' ORDER BY n.oid)
           FROM pg_publication_namespace AS n WHERE n.pnpubid = p.oid)"""
_SCHEMAS_SINCE = 15

# `to_jsonb`, because Postgres 14 has neither row filters nor column lists. A partition is published by itself or as a
# part of its table.
_TABLES = """
WITH RECURSIVE family (name, key, root, id) AS (
    SELECT d.name, d.key, c.oid, c.oid
    FROM unnest($2::text[], $3::text[]) AS d (name, key)
    JOIN pg_class AS c ON c.relname = d.name JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $4
    UNION
    SELECT f.name, f.key, f.root, i.inhrelid FROM family AS f JOIN pg_inherits AS i ON i.inhparent = f.id
),
published AS (
    SELECT c.oid AS id, to_jsonb(p) ->> 'rowfilter' IS NOT NULL AS filtered, to_jsonb(p) -> 'attnames' AS columns
    FROM pg_publication_tables AS p
    JOIN pg_namespace AS n ON n.nspname = p.schemaname
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.tablename
    WHERE p.pubname = $1
)
SELECT f.name,
       bool_and(EXISTS (SELECT FROM published AS p WHERE p.id IN (f.id, f.root)
                        AND NOT p.filtered AND coalesce(p.columns ? f.key, true))) AS published,
       bool_and(c.relreplident = 'f' OR EXISTS (
           SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = f.key
           WHERE i.indrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
             AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)) AS identified,
       string_agg(concat(c.oid, ':', c.relfilenode), ',' ORDER BY c.oid) AS files,
       string_agg(c.relreplident::text, '' ORDER BY c.oid) AS identity
FROM family AS f JOIN pg_class AS c ON c.oid = f.id
WHERE c.relkind = 'r'
GROUP BY f.name"""


@dataclass(frozen=True)
class Publication:
    """A publication as a snapshot shows it. `problem` is why capture cannot use it, as a sentence's beginning.

    `fingerprint` changes with every change of the publication and of the tables' replica identities, a table's in
    `files` whenever the table is rewritten.
    """

    fingerprint: str
    files: Mapping[str, str]
    problem: str | None = None


async def read_publication(
    connection: Connection, name: str, schema: str, tables: Iterable[SourceTable]
) -> Publication:
    """The publication and what it covers of the declared tables."""
    since_15 = connection.get_server_version().major >= _SCHEMAS_SINCE
    found = await connection.fetchrow(_PUBLICATION.format(schemas=_SCHEMAS if since_15 else ""), name)
    if found is None:
        return Publication("", {}, f"publication {name} does not exist")
    # Of a key with several columns, the first stands for all: its rows are not looked up.
    declared = {table.name: table.key_names[0] for table in tables}
    rows = await connection.fetch(_TABLES, name, list(declared), list(declared.values()), schema)
    fingerprint = f"{found['fingerprint']};{''.join(row['identity'] for row in sorted(rows, key=lambda r: r['name']))}"
    files = {row["name"]: row["files"] for row in rows}
    return Publication(fingerprint, files, _problem(name, found["complete"], declared, rows))


def _problem(name: str, complete: bool, declared: Mapping[str, str], rows: Iterable[asyncpg.Record]) -> str | None:
    if not complete:
        return f"publication {name} does not publish insert, update, delete and truncate"
    by_name = {row["name"]: row for row in rows}
    if lacking := [table for table in declared if table not in by_name or not by_name[table]["published"]]:
        return f"publication {name} lacks {', '.join(lacking)}, or some of its rows or its key"
    if other := [table for table in declared if not by_name[table]["identified"]]:
        return f"the replica identity of {', '.join(other)} does not contain the declared key"
    return None

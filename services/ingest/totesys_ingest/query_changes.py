"""What changed in the tables of a source query: which rows, and whether a row may have disappeared."""

from collections.abc import Iterable, Mapping

import asyncpg
from pydantic import TypeAdapter

from totesys.connection import Connection
from totesys.database_errors import plain
from totesys.lake.records import Manifest
from totesys.source_relations import page, rows_of, unseen
from totesys.sql import ident
from totesys.sql_keys import key_list, key_text
from totesys.table import SourceQuery
from totesys.transactions import HighWaterMark
from totesys_ingest.extraction_jobs import ChangedRows
from totesys_ingest.source_contract import ContractChanges, Described
from totesys_ingest.starting_point import SourceSnapshot
from totesys_ingest.type_compatibility import FoundType

# Up to this many changed rows of a table are listed. More are found by a scan of the query.
LISTED_ROWS = 10_000
_NAMED_KEYS = 3

# The types by id; an enum and a domain go by the same names as in the catalog of tables.
_TYPES = """
SELECT w.id, (
    WITH RECURSIVE base (id, modifier, depth) AS (
        SELECT w.id, -1, 0
        UNION ALL
        SELECT d.typbasetype, d.typtypmod, b.depth + 1 FROM base b JOIN pg_type d ON d.oid = b.id AND d.typtype = 'd')
    SELECT json_build_object(
        'name', CASE WHEN t.typtype = 'e' THEN '"' || replace(t.typname, '"', '""') || '"'
                     ELSE format_type(b.id, b.modifier) END,
        'labels', CASE WHEN t.typtype = 'e' THEN ARRAY(
            SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) END)
    FROM base b JOIN pg_type t ON t.oid = b.id ORDER BY depth DESC LIMIT 1) AS type
FROM unnest($1::oid[]) AS w (id)"""
_FOUND_TYPE = TypeAdapter(FoundType)


async def describe(connection: Connection, query: SourceQuery) -> Described:
    """The type of each column of the query, without lengths and precisions, or why Postgres refuses the query."""
    try:
        statement = await connection.prepare(f"SELECT * FROM {rows_of(query, 'r')}")
    except asyncpg.PostgresError as error:
        return plain(error)
    columns = {attribute.name: attribute.type.oid for attribute in statement.get_attributes()}
    rows = await connection.fetch(_TYPES, list(set(columns.values())))
    types = {row["id"]: _FOUND_TYPE.validate_json(row["type"]) for row in rows}
    return {name: types[oid] for name, oid in columns.items()}


async def changes_of_queries(
    connection: Connection,
    queries: Iterable[SourceQuery],
    mark: HighWaterMark | None,
    last: Manifest | None,
    snapshot: SourceSnapshot,
) -> dict[str, list[ChangedRows]]:
    """The changed rows of each query that is not extracted whole, as all are without `mark` or `last`.

    A query is extracted whole if one of its tables may have lost rows: rows that joined them have changed without a
    trace.
    """
    found: dict[str, list[ChangedRows]] = {}
    if mark is None or last is None:
        return found
    for query in queries:
        changed = await changed_rows(connection, query, mark)
        by_table = {[*query.tables.values()][one.place]: one for one in changed}
        if not any(
            may_have_lost_rows(last.counts.get(name), snapshot.counts[name], by_table.get(name))
            for name in snapshot.changes.losable[query.name]
        ):
            found[query.name] = changed
    return found


async def check_keys(
    connection: Connection,
    queries: Iterable[SourceQuery],
    mark: HighWaterMark | None,
    changed: Mapping[str, list[ChangedRows]],
) -> None:
    """Raise ContractBroken if a query makes several rows with the same key; only `changed` rows are looked at."""
    duplicates = []
    for query in queries:
        since = mark if query.name in changed else None
        if since is None or changed[query.name]:
            duplicates.append(await find_duplicates(connection, query, since, changed.get(query.name, [])))
    ContractChanges(drift=tuple(filter(None, duplicates))).check()


async def changed_rows(connection: Connection, query: SourceQuery, mark: HighWaterMark) -> list[ChangedRows]:
    """The changed rows of each of the query's tables that has any."""
    found = []
    for place, table in enumerate(query.tables.values()):
        statement = f"SELECT ctid::text FROM {ident(table)} WHERE {mark.unseen()} LIMIT {LISTED_ROWS + 1}"
        if rows := await connection.fetch(statement):
            listed = len(rows) <= LISTED_ROWS
            found.append(ChangedRows(place, tuple(row[0] for row in rows) if listed else None))
    return found


def may_have_lost_rows(before: int | None, now: int, changed: ChangedRows | None) -> bool:
    """Whether a row may have been deleted from a table that had `before` rows and has `now`.

    Each changed row is an inserted one, or an updated one that was there before.
    """
    if before is None or (changed is not None and changed.rows is None):
        return True
    return before + len(changed.rows if changed and changed.rows else ()) != now


async def find_duplicates(
    connection: Connection, query: SourceQuery, mark: HighWaterMark | None, changed: list[ChangedRows]
) -> str | None:
    """A sentence that names keys of more than one row of the query; with a mark, only of keys that changed."""
    key, parameters, tests = key_list(query, "r"), [], []
    for one in changed if mark else ():
        test = unseen(query, mark, "c", [one.place]) if mark else "true"
        if one.rows is not None:
            parameters.append(list(one.rows))
            test += f" AND {page(query, 'c', one.place)} = ANY (${len(parameters)}::text[]::tid[])"
        tests.append(f"SELECT {key_list(query, 'c')} FROM {rows_of(query, 'c')} WHERE {test}")
    among = f"WHERE ({key}) IN ({' UNION '.join(tests)})" if tests else ""
    rows = await connection.fetch(
        f"SELECT {key_text(query, 'r')} AS key FROM {rows_of(query, 'r')} {among} "
        f"GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT {_NAMED_KEYS}",
        *parameters,
    )
    named = ", ".join(row["key"] for row in rows)
    return f"{query.name} has several rows with the same {query.key_label}: {named}" if rows else None

"""What a table's rows are read through. Where it changes, rows show other values although none of them was written."""

import json
from collections.abc import Iterable, Mapping

from totesys.connection import Connection
from totesys.lake.records import TableDefinition
from totesys.table import SourceTable

_DEFINITIONS = """
SELECT c.relname AS name,
       ARRAY(
           WITH RECURSIVE family (id) AS (
               SELECT c.oid
               UNION ALL
               SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.id
           )
           SELECT id::bigint FROM family ORDER BY id
       ) AS relations,
       (SELECT json_object_agg(a.attname, a.attnum)
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT json_object_agg(a.attname || '.' || e.enumlabel, e.oid::bigint)
        FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS labels
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
ORDER BY c.relname
"""


async def read_definitions(
    connection: Connection, schema: str, tables: Iterable[SourceTable]
) -> dict[str, TableDefinition]:
    """The definition of each table as the transaction that has begun sees it."""
    declared = {table.name: table for table in tables}
    rows = await connection.fetch(_DEFINITIONS, schema, list(declared))
    return {
        row["name"]: TableDefinition(
            relations=tuple(row["relations"]),
            columns=_declared(declared[row["name"]], json.loads(row["columns"] or "{}")),
            labels=json.loads(row["labels"] or "{}"),
        )
        for row in rows
    }


def _declared(table: SourceTable, numbers: Mapping[str, int]) -> dict[str, int]:
    return {name: numbers[name] for name in table.column_names if name in numbers}


def redefined(before: Mapping[str, TableDefinition], now: Mapping[str, TableDefinition]) -> list[str]:
    """The tables that may show values that no transaction has written since `before`. Pure.

    A relation that is new in a table brings its old rows with it. A column of another number is another column. A label
    that is gone or is another one shows where the old one stood; one that is added stands nowhere yet.
    """
    return [name for name, definition in now.items() if name not in before or _differs(before[name], definition)]


def _differs(before: TableDefinition, now: TableDefinition) -> bool:
    return (
        not set(now.relations) <= set(before.relations)
        or now.columns != before.columns
        or not before.labels.items() <= now.labels.items()
    )

"""The SQL of changes, made from the declarations."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from totesys.model.source_tables import SOURCES
from totesys.schema import sorted_by_references
from totesys.sql import column_list, ident
from totesys.table import SourceTable
from totesys_simulation.decisions import Change, Insert, Update

# Rows are written after those that they refer to, and everybody takes the tables in this order.
ORDER = {table.name: place for place, table in enumerate(sorted_by_references(SOURCES))}

Statement = tuple[type[Change], SourceTable, str]


def statements(changes: Iterable[Change]) -> dict[Statement, list[tuple[Any, ...]]]:
    """The changes as statements, each with the arguments of all its rows; each gives its rows' keys."""
    grouped: dict[Statement, list[tuple[Any, ...]]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: ORDER[change.table.name]):
        if isinstance(change, Insert):
            grouped[Insert, change.table, _insert(change.table)].append(change.row)
        else:
            grouped[Update, change.table, _update(change)].append((change.key, *change.values.values()))
    return grouped


def _insert(table: SourceTable) -> str:
    places = ", ".join(f"${place}" for place in range(1, len(table.columns) + 1))
    columns = column_list(table.column_names)
    return f"INSERT INTO {ident(table.name)} ({columns}) VALUES ({places}) RETURNING {ident(table.key)}"


def _update(change: Update) -> str:
    values = ", ".join(f"{ident(name)} = ${place}" for place, name in enumerate(change.values, 2))
    key = ident(change.table.key)
    return f"UPDATE {ident(change.table.name)} SET {values} WHERE {key} = $1 RETURNING {key}"

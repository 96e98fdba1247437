"""Whether the source's tables are the declared ones. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from totesys.table import SourceTable

# Column name to type, as Postgres's `format_type` prints it, of each table that exists.
Catalog = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Comparison:
    """What differs: `breaking` stops a run before it starts, `additions` are worth a warning."""

    breaking: tuple[str, ...]
    additions: tuple[str, ...]


def compare(tables: Iterable[SourceTable], catalog: Catalog) -> Comparison:
    """Each declared column must be there with its type; a column that is not declared is an addition."""
    breaking: list[str] = []
    additions: list[str] = []
    for table in tables:
        found = catalog.get(table.name)
        if found is None:
            breaking.append(f"table {table.name} is missing")
            continue
        for column in table.columns:
            kind = found.get(column.name)
            if kind is None:
                breaking.append(f"column {table.name}.{column.name} is missing")
            elif kind != column.type.postgres:
                breaking.append(f"column {table.name}.{column.name} is {kind}, declared as {column.type.postgres}")
        additions += [f"{table.name}.{name}" for name in found if name not in table.column_names]
    return Comparison(tuple(breaking), tuple(additions))

"""The contract with the source: its tables are the declared ones, and may be read. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from totesys.table import Column, SourceTable
from totesys_ingest.compatible import FoundType, is_compatible
from totesys_ingest.unique_key import Guards, unguarded

# What a relation that is no table is called, by `pg_class.relkind`.
OTHER_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}


@dataclass(frozen=True)
class FoundColumn:
    """A column of the source, and whether this role may read it."""

    type: FoundType
    nullable: bool
    readable: bool = True


@dataclass(frozen=True)
class FoundTable:
    """A relation of the source's schema: its `pg_class.relkind`, what this role may do with it, its columns by name.

    Of a relation that is not declared columns and guards are not known. `filtered` tells that row-level security
    would hide rows from this role.
    """

    kind: str = "r"
    schema_usable: bool = True
    readable: bool = True
    filtered: bool = False
    columns: Mapping[str, FoundColumn] = field(default_factory=dict)
    guards: Guards = field(default_factory=Guards)


# Each relation of the source's schema by its name.
Catalog = Mapping[str, FoundTable]


@dataclass(frozen=True)
class Addition:
    """A difference that the extraction goes on with, and what happens next."""

    difference: str
    next: str


@dataclass(frozen=True)
class Comparison:
    """What differs. `drift` and `denied` stop a run before it starts, `additions` are worth a warning."""

    drift: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    additions: tuple[Addition, ...] = ()

    @property
    def breaches(self) -> tuple[str, ...]:
        """All that stops a run."""
        return self.drift + self.denied


def compare(tables: Iterable[SourceTable], catalog: Catalog) -> Comparison:
    """Compare the declarations with all that the source's schema has."""
    declared = {table.name: table for table in tables}
    found = {name: table for name, table in declared.items() if name in catalog}
    undeclared = [name for name, relation in catalog.items() if name not in declared and relation.kind in "rp"]
    drift = [_missing_table(name, undeclared) for name in declared if name not in catalog]
    denied = ["no USAGE on the schema"] if any(not catalog[name].schema_usable for name in found) else []
    additions = [Addition(f"table {name} is not declared", "it is not read") for name in undeclared]
    for name, table in found.items():
        relation = catalog[name]
        denied += _denied(table, relation)
        if kind := OTHER_KINDS.get(relation.kind):
            drift.append(f"{name} is a {kind}, declared as a table")
            continue
        drift += _drift(table, relation)
        additions += _additions(table, relation)
    return Comparison(tuple(drift), tuple(denied), tuple(additions))


def _missing_table(name: str, undeclared: list[str]) -> str:
    return f"table {name} is missing{_renamed(get_close_matches(name, undeclared))}"


def _renamed(candidates: list[str]) -> str:
    if not candidates:
        return ""
    return f" ({', '.join(candidates)} {'is' if len(candidates) == 1 else 'are'} not declared: renamed?)"


def _denied(table: SourceTable, relation: FoundTable) -> Iterator[str]:
    if not relation.readable:
        declared = [relation.columns[name] for name in table.column_names if name in relation.columns]
        barred = [n for n in table.column_names if n in relation.columns and not relation.columns[n].readable]
        if len(barred) == len(declared):
            yield f"no SELECT on {table.name}"
        else:
            yield f"SELECT on columns of {table.name} only, not on {', '.join(barred) or 'the table'}"
    if relation.filtered:
        yield f"row-level security hides rows of {table.name} from a role without BYPASSRLS"


def _drift(table: SourceTable, relation: FoundTable) -> Iterator[str]:
    for column in table.columns:
        found = relation.columns.get(column.name)
        place = f"{table.name}.{column.name}"
        if found is None:
            yield f"column {place} is missing{_renamed(_candidates(table, column, relation))}"
        elif not is_compatible(column.type, found.type):
            yield f"{_retyped(place, column, found)}"
        else:
            yield from _missing_labels(place, column, found.type)
            if found.nullable and column.name == table.key:
                yield f"column {place} may be NULL, declared as the key"
    if table.key in relation.columns:
        yield from unguarded(table, relation.guards)


def _candidates(table: SourceTable, column: Column, relation: FoundTable) -> list[str]:
    return [
        name
        for name, found in relation.columns.items()
        if name not in table.column_names and is_compatible(column.type, found.type)
    ]


def _retyped(place: str, column: Column, found: FoundColumn) -> str:
    return f"column {place} is {found.type.name}, declared as {column.type.postgres}"


def _missing_labels(place: str, column: Column, found: FoundType) -> Iterator[str]:
    if found.labels is None or not column.type.values:
        return
    added = [label for label in found.labels if label not in column.type.values]
    for label in column.type.values:
        if label not in found.labels:
            yield f"label {label} of {found.name} ({place}) is missing{_renamed(added)}"


def _additions(table: SourceTable, relation: FoundTable) -> Iterator[Addition]:
    for name, found in relation.columns.items():
        place = f"{table.name}.{name}"
        if name not in table.column_names:
            yield Addition(f"column {place} is not declared", "it is left out")
            continue
        column = table.column(name)
        if found.type.name != column.type.postgres:
            yield Addition(_retyped(place, column, found), "its values are read as the declared type's")
        elif column.type.values:
            for label in found.type.labels or ():
                if label not in column.type.values:
                    yield Addition(f"label {label} of {found.type.name} ({place}) is not declared", "it comes as text")
        if found.nullable and not column.nullable:
            yield Addition(
                f"column {place} may be NULL, declared as NOT NULL",
                "a row without a value that the warehouse requires goes to quarantine",
            )

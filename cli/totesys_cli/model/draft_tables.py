"""What a drafted model declares: the key, the columns and the use of each source table. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from totesys_cli.model.draft_types import declaration
from totesys_cli.model.foreign_keys import ForeignKey, SourceRelations
from totesys_ingest.source_contract import OTHER_KINDS, FoundTable

_INTEGERS = {"smallint", "integer", "bigint"}
# Room for a prefix, and for the suffixes of views and functions, in the 63 bytes of a name.
_LONGEST = 40


@dataclass(frozen=True)
class DraftColumn:
    """A column with the expression of its type, and what it refers to."""

    name: str
    type: str
    nullable: bool
    reference: ForeignKey | None = None


@dataclass(frozen=True)
class DraftTable:
    """A source table that can be declared. `decisions` are the questions about it that only people can answer."""

    name: str
    label: str
    key: str
    unenforced: bool
    is_fact: bool
    columns: tuple[DraftColumn, ...]
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftModel:
    """The tables of a model, and a sentence for each relation that it leaves out."""

    tables: tuple[DraftTable, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    @property
    def decisions(self) -> int:
        """How many decisions are left."""
        return len(self.left_out) + sum(len(table.decisions) for table in self.tables)


def draft(relations: SourceRelations) -> DraftModel:
    """Decide what can be decided: keys by unique indexes, types by compatibility, facts by foreign keys."""
    tables, left_out = [], []
    labels = _labels(relations.catalog)
    for name, found in relations.catalog.items():
        if kind := OTHER_KINDS.get(found.kind):
            left_out.append(f"{name} is a {kind}, and only tables are captured.")
        elif (key := _key(found)) is None:
            unique = ", ".join(" + ".join(columns) for columns in found.guards.unique)
            left_out.append(f"{name} has no key of one column ({unique or 'nothing'} is unique). Add a unique index.")
        elif declaration(found.columns[key].type) is None:
            left_out.append(f"the key {name}.{key} is {found.columns[key].type.name}, which has no declared type.")
        else:
            tables.append(_table(name, labels[name], key, relations))
    return DraftModel(tuple(tables), tuple(left_out))


def _key(found: FoundTable) -> str | None:
    """The column of the first unique index on one column, or the first of a partitioned table's primary key."""
    single = (columns[0] for columns in found.guards.unique if len(columns) == 1)
    required = (name for name in single if not found.columns[name].nullable)
    partitioned = found.guards.unique[0][0] if found.kind == "p" and found.guards.unique else None
    return next(required, partitioned)


def _table(name: str, label: str, key: str, relations: SourceRelations) -> DraftTable:
    found, references = relations.catalog[name], relations.references.get(name, {})
    refers = [one.table for one in references.values() if one.table != name]
    by_shape = bool(refers) and name not in relations.referenced
    is_fact = by_shape and found.columns[key].type.name in _INTEGERS
    unenforced = not found.guards.enforce(key)
    columns = tuple(_columns(found, references))
    return DraftTable(
        name, label, key, unenforced, is_fact, columns, tuple(_decisions(found, key, unenforced, is_fact, refers))
    )


def _columns(found: FoundTable, references: Mapping[str, ForeignKey]) -> Iterator[DraftColumn]:
    for name, column in found.columns.items():
        if kind := declaration(column.type):
            yield DraftColumn(name, kind, column.nullable, references.get(name))


def _decisions(found: FoundTable, key: str, unenforced: bool, is_fact: bool, refers: list[str]) -> Iterator[str]:
    if is_fact:
        yield f"is it a fact? It refers to {', '.join(sorted(set(refers)))}, and no table refers to it."
    else:
        yield "is it a dimension? A table whose rows are events is a fact, captured as Capture.INCREMENTAL."
    if unenforced:
        yield f"is {key} unique? No unique index on it alone covers all rows, so ingest checks each run."
    for name, column in found.columns.items():
        if declaration(column.type) is None:
            yield f"{name} is {column.type.name}, which has no declared type, so it is left out."


def _labels(names: Iterable[str]) -> dict[str, str]:
    """A Python name for each table, in small letters, without duplicates."""
    labels: dict[str, str] = {}
    for name in names:
        label = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:_LONGEST] or "table"
        label = f"t_{label}" if label[0].isdigit() else label
        number = sum(other == label or other.startswith(f"{label}_x") for other in labels.values())
        labels[name] = f"{label}_x{number + 1}" if number else label
    return labels

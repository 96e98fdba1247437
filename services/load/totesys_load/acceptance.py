"""Whether a warehouse can be loaded as it is, and how. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from totesys.schema import Model
from totesys.sql import ident
from totesys.table import Column, Fact, WarehouseTable
from totesys_load import ddl
from totesys_load.catalog import Catalog, Index, Relation
from totesys_load.refusals import KINDS, of_ledger, refusals


@dataclass(frozen=True)
class Accepted:
    """How the tables of a warehouse are to be written.

    `staged` are those that rows may not be copied straight into: binary COPY needs the declared types exactly, and
    an enforced foreign key would refuse a run for one orphan. `sequences` give each fact's record ids, as SQL names.
    """

    staged: frozenset[str] = frozenset()
    sequences: Mapping[str, str] = field(default_factory=dict)

    def straight(self, table: WarehouseTable) -> bool:
        """Whether rows may be copied straight into the table."""
        return table.name not in self.staged


@dataclass(frozen=True)
class Adaptation:
    """An index that load needs: a statement, or a warning where the table belongs to somebody else."""

    table: str
    columns: tuple[str, ...]
    unique: bool
    owned: bool


def problems(model: Model, schema: str, catalog: Catalog) -> list[str]:
    """What keeps load from using what is there, each with what to do. A table that is missing can be created."""
    found = [
        f"this role may not use the schema {name}: GRANT USAGE ON SCHEMA {ident(name)} TO {catalog.role}"
        for name, usable in catalog.schemas.items()
        if not usable
    ]
    for table, relation in tables(model, schema, catalog):
        found += refusals(model, schema, table, relation, catalog)
    for name, columns in ddl.LEDGER_TABLES.items():
        if (ddl.ETL, name) in catalog.relations:
            found += of_ledger(catalog.relations[ddl.ETL, name], columns.items(), catalog)
    for (where, name), view in ddl.views(model, schema).items():
        other = catalog.relations.get((where, name))
        if other and not _is_ours(other, view, schema):
            what = KINDS.get(other.kind, "a table")
            found.append(f"{where}.{name} is {what} that load has not made, and needs the name: rename it")
    return found


def tables(model: Model, schema: str, catalog: Catalog) -> Iterator[tuple[WarehouseTable, Relation]]:
    """The declared tables whose names are taken, each with what has the name."""
    for table in model.tables:
        if (schema, table.name) in catalog.relations:
            yield table, catalog.relations[schema, table.name]


def _is_ours(found: Relation, view: ddl.View, schema: str) -> bool:
    if found.kind != "v":
        return False
    if found.comment is not None:
        return found.comment.startswith(view.mark)
    # Load's earlier releases wrote no comment on a star's view.
    return view.mark == ddl.ALL and _shows_all(found.definition or "", schema, found.name)


def _shows_all(definition: str, schema: str, relation: str) -> bool:
    name = rf'("?{re.escape(schema)}"?\.)?"?{re.escape(relation)}"?'
    plain = rf'(?!.*\b(DISTINCT|AS)\b)\s*SELECT [\w\s,."]+\sFROM {name};\s*'
    return re.fullmatch(plain, definition, re.DOTALL) is not None


def adaptations(model: Model, schema: str, catalog: Catalog) -> list[Adaptation]:
    """The indexes that load needs and that accepted tables have not."""
    wanted: list[Adaptation] = []
    for table, found in tables(model, schema, catalog):
        unique = table.record_id if isinstance(table, Fact) else table.key
        if not any(index.unique and index.whole and index.columns == (unique,) for index in found.indexes):
            wanted.append(Adaptation(table.name, (unique,), True, found.owned))
        if isinstance(table, Fact) and not any(_finds_versions(index, table) for index in found.indexes):
            wanted.append(Adaptation(table.name, (table.key, table.record_id), False, found.owned))
    return wanted


def _finds_versions(index: Index, fact: Fact) -> bool:
    return index.whole and index.columns[:2] == (fact.key, fact.record_id)


def _kind(found: Relation, column: Column) -> str:
    """A column that is missing is added as it is declared."""
    return next((other.kind for other in found.columns if other.name == column.name), column.type.postgres)


def accepted(model: Model, schema: str, catalog: Catalog) -> Accepted:
    """How to write what has no problems."""
    staged: set[str] = set()
    sequences: dict[str, str] = {}
    for table, found in tables(model, schema, catalog):
        as_declared = all(_kind(found, column) == column.type.postgres for column in table.columns)
        if not as_declared or any(constraint.kind == "f" for constraint in found.constraints):
            staged.add(table.name)
        for column in found.columns:
            if isinstance(table, Fact) and column.name == table.record_id and column.sequence:
                sequences[table.name] = column.sequence.name
    return Accepted(frozenset(staged), sequences)

"""Whether load can use a warehouse as it is, what it has to add, and how it writes the tables. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from totesys.ledger_schema import LEDGER_TABLES
from totesys.schema import ETL, Model
from totesys.sql import ident
from totesys.table import Column, Fact, WarehouseTable
from totesys_load import ddl
from totesys_load.table_problems import KINDS, ledger_problems, table_problems
from totesys_load.warehouse_catalog import Relation, WarehouseCatalog


@dataclass(frozen=True)
class WritePlan:
    """How load writes the tables of a warehouse.

    Rows go through a temporary table into the `staged` ones: binary COPY needs the declared types exactly, and an
    enforced foreign key would reject a run because of one unresolved reference. `sequences` are the SQL names of the
    sequences that give each fact its version ids.
    """

    staged: frozenset[str] = frozenset()
    sequences: Mapping[str, str] = field(default_factory=dict)

    def copies_into(self, table: WarehouseTable) -> bool:
        """Whether COPY may write straight into the table."""
        return table.name not in self.staged


@dataclass(frozen=True)
class MissingIndex:
    """An index that load needs. It creates the index if it owns the table, and otherwise warns with the statement."""

    table: str
    columns: tuple[str, ...]
    unique: bool
    owned: bool

    def statement(self, schema: str) -> str:
        """CREATE INDEX."""
        return ddl.create_index(schema, self.table, *self.columns, unique=self.unique)


def problems(model: Model, schema: str, catalog: WarehouseCatalog) -> list[str]:
    """What prevents load from using what exists, each with its fix. A missing table is not a problem."""
    found = [
        f"this role may not use the schema {name}: GRANT USAGE ON SCHEMA {ident(name)} TO {catalog.role}"
        for name, usable in catalog.schemas.items()
        if not usable
    ]
    for table, relation in existing_tables(model, schema, catalog):
        found += table_problems(model, schema, table, relation, catalog)
    for ledger_table in LEDGER_TABLES:
        if relation_ := catalog.relations.get((ETL, ledger_table.name)):
            found += ledger_problems(ledger_table, relation_, catalog)
    for (where, name), view in ddl.views(model, schema).items():
        other = catalog.relations.get((where, name))
        if other and not _is_ours(other, view, schema):
            kind = KINDS.get(other.kind, "a table")
            found.append(f"{where}.{name} is {kind} that load did not make, and load needs the name: rename it")
    return found


def existing_tables(model: Model, schema: str, catalog: WarehouseCatalog) -> Iterator[tuple[WarehouseTable, Relation]]:
    """The declared tables whose names are taken, each with the relation that has the name."""
    for table in model.tables:
        if (schema, table.name) in catalog.relations:
            yield table, catalog.relations[schema, table.name]


def _is_ours(found: Relation, view: ddl.View, schema: str) -> bool:
    if found.kind != "v":
        return False
    if found.comment is not None:
        return found.comment.startswith(view.mark)
    # Earlier releases of load wrote no comment on a star's view.
    return view.mark == ddl.ALL and _shows_all(found.definition or "", schema, found.name)


def _shows_all(definition: str, schema: str, relation: str) -> bool:
    name = rf'("?{re.escape(schema)}"?\.)?"?{re.escape(relation)}"?'
    plain = rf'(?!.*\b(DISTINCT|AS)\b)\s*SELECT [\w\s,."]+\sFROM {name};\s*'
    return re.fullmatch(plain, definition, re.DOTALL) is not None


def missing_indexes(model: Model, schema: str, catalog: WarehouseCatalog) -> list[MissingIndex]:
    """The indexes that load needs and existing tables lack."""
    missing: list[MissingIndex] = []
    for table, found in existing_tables(model, schema, catalog):
        complete = [index for index in found.indexes if not index.partial]
        unique = (table.record_id,) if isinstance(table, Fact) else table.key_names
        if not any(index.unique and index.columns == unique for index in complete):
            missing.append(MissingIndex(table.name, unique, True, found.owned))
        if isinstance(table, Fact):
            columns = (*table.key_names, table.record_id)
            if not any(index.columns[: len(columns)] == columns for index in complete):
                missing.append(MissingIndex(table.name, columns, False, found.owned))
    return missing


def _type(found: Relation, column: Column) -> str:
    """The type of a column. Load adds a missing one as it is declared."""
    return next((other.kind for other in found.columns if other.name == column.name), column.type.postgres)


def write_plan(model: Model, schema: str, catalog: WarehouseCatalog) -> WritePlan:
    """How to write tables that have no problems."""
    staged: set[str] = set()
    sequences: dict[str, str] = {}
    for table, found in existing_tables(model, schema, catalog):
        as_declared = all(_type(found, column) == column.type.postgres for column in table.columns)
        if not as_declared or any(constraint.kind == "f" for constraint in found.constraints):
            staged.add(table.name)
        for column in found.columns:
            if isinstance(table, Fact) and column.name == table.record_id and column.sequence:
                sequences[table.name] = column.sequence.name
    return WritePlan(frozenset(staged), sequences)

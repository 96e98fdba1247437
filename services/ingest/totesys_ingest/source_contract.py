"""The contract with the source: how its tables differ from the declared ones. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from totesys.errors import AccessDenied, SchemaDrift
from totesys.lake.records import TableDefinition
from totesys.table import Column, SourceQuery, SourceTable
from totesys.types import Kind
from totesys_ingest.type_compatibility import FoundType, is_compatible

# The relations that are not tables, by `pg_class.relkind`.
OTHER_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}


@dataclass(frozen=True)
class SourceColumn:
    """A column of the source, and whether this role may read it."""

    type: FoundType
    nullable: bool
    readable: bool = True


@dataclass(frozen=True)
class KeyGuards:
    """What Postgres enforces about a table's keys.

    `unique` holds the columns of each valid unique index that covers every row of the table itself, the primary key
    first. `children` are the tables that inherit from it: a query shows their rows, and the table's indexes do not
    cover them. `foreign` are the foreign tables among its children and partitions, `referenced_by` the tables with
    a foreign key to it.
    """

    unique: tuple[tuple[str, ...], ...] = ()
    children: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    referenced_by: tuple[str, ...] = ()

    def cover(self, key: Iterable[str]) -> bool:
        """Whether no two rows of the table itself can have the same key."""
        return any(set(columns).issubset(key) for columns in self.unique)

    def enforce(self, key: Iterable[str]) -> bool:
        """Whether no two rows can have the same key."""
        return self.cover(key) and not self.children


@dataclass(frozen=True)
class FoundTable:
    """A relation of the source's schema: its `pg_class.relkind`, this role's rights, and its columns by name.

    Columns, guards and definition are known only for a declared table. `filtered` means that row-level security would
    hide rows from this role.
    """

    kind: str = "r"
    schema_usable: bool = True
    readable: bool = True
    filtered: bool = False
    columns: Mapping[str, SourceColumn] = field(default_factory=dict)
    guards: KeyGuards = field(default_factory=KeyGuards)
    definition: TableDefinition | None = None


# The types of a query's columns, or why Postgres refuses it.
Described = Mapping[str, FoundType] | str
# The relations of the source's schema by name.
SourceCatalog = Mapping[str, FoundTable]


@dataclass(frozen=True)
class NonBreakingChange:
    """A difference that does not stop an extraction, and what happens next."""

    difference: str
    next: str


@dataclass(frozen=True)
class ContractChanges:
    """How the source differs from the declarations.

    `drift` and `denied` are breaking: they stop an extraction before it starts. `unguarded` are the tables whose keys
    no unique index enforces and whose declaration accepts that, so ingest has to look for duplicates itself.
    `losable` are, by query, the tables whose rows may be deleted although rows of its other tables match them.
    `definitions` are the declared columns of the tables that exist, with what else identifies their rows.
    """

    drift: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    non_breaking: tuple[NonBreakingChange, ...] = ()
    unguarded: tuple[SourceTable, ...] = ()
    losable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    definitions: Mapping[str, TableDefinition] = field(default_factory=dict)

    @property
    def breaking(self) -> tuple[str, ...]:
        """Every difference that stops an extraction."""
        return self.drift + self.denied

    def check(self) -> None:
        """Raise ContractBroken if there is a breaking change."""
        if self.breaking:
            raise ContractBroken(self)

    def error(self, where: str) -> SchemaDrift | AccessDenied:
        """The error that names every breaking change of the source at `where`."""
        grant = "Grant this role the missing privileges." if self.denied else ""
        found = f"{'; '.join(self.breaking)}. Nothing was read."
        if self.drift:
            remedy = f"Fix the source or the declaration. {grant}".rstrip()
            return SchemaDrift(f"{where} does not match the model: {found} {remedy}")
        return AccessDenied(f"{where} denies this role access to declared tables: {found} {grant}")


class ContractBroken(Exception):
    """The source has breaking changes. Ingest logs them and raises `changes.error` instead."""

    def __init__(self, changes: ContractChanges) -> None:
        super().__init__("; ".join(changes.breaking))
        self.changes = changes


def compare(
    tables: Iterable[SourceTable], catalog: SourceCatalog, described: Mapping[str, Described] = {}
) -> ContractChanges:
    """Compare the declared tables with the relations of the source's schema, and the queries as they are described."""
    tables = tuple(tables)
    queries = [table for table in tables if isinstance(table, SourceQuery)]
    declared = {table.name: table for table in tables if not isinstance(table, SourceQuery)}
    found = {name: table for name, table in declared.items() if name in catalog}
    undeclared = [
        name
        for name, relation in catalog.items()
        if name not in declared and relation.kind in "rp" and not any(name in q.base_tables for q in queries)
    ]
    drift = [_missing_table(name, undeclared) for name in declared if name not in catalog]
    denied = ["no USAGE on the schema"] if any(not catalog[name].schema_usable for name in found) else []
    non_breaking = [NonBreakingChange(f"table {name} is not declared", "ingest ignores it") for name in undeclared]
    unguarded, definitions = [], {}
    for name, table in found.items():
        relation = catalog[name]
        denied += _denied(table, relation)
        if kind := OTHER_KINDS.get(relation.kind):
            drift.append(f"{name} is a {kind}, declared as a table")
            continue
        drift += _drift(table, relation)
        non_breaking += _non_breaking(table, relation)
        if table.unenforced_key and not relation.guards.enforce(table.key_names):
            unguarded.append(table)
        if whole := relation.definition:
            columns = {column: whole.columns[column] for column in table.column_names if column in whole.columns}
            definitions[name] = whole.model_copy(update={"columns": columns})
    losable = {}
    for query in queries:
        faults = [*_query_faults(query, catalog, undeclared)]
        drift += faults
        denied += [f"no SELECT on {name}" for name in query.base_tables
                   if name in catalog and not catalog[name].readable]  # fmt: skip
        if not faults:
            drift += _query_drift(query, described[query.name])
        losable[query.name] = tuple(_losable(query, catalog))
        bases = {name: catalog[name].definition for name in query.base_tables if name in catalog}
        definitions |= {name: one for name, one in bases.items() if one and name not in definitions}
    return ContractChanges(
        tuple(dict.fromkeys(drift)),
        tuple(dict.fromkeys(denied)),
        tuple(non_breaking),
        tuple(unguarded),
        losable,
        definitions,
    )


def _query_faults(query: SourceQuery, catalog: SourceCatalog, undeclared: list[str]) -> Iterator[str]:
    for name in query.base_tables:
        relation = catalog.get(name)
        if relation is None:
            yield _missing_table(name, undeclared)
        elif kind := OTHER_KINDS.get(relation.kind):
            yield f"{name} is a {kind}: the rows that {query.name} reads need a transaction id"
        elif relation.guards.foreign:
            yield f"{name} includes foreign tables, whose rows have no transaction id"
        elif relation.filtered:
            yield f"row-level security hides rows of {name} from a role without BYPASSRLS"


def _query_drift(query: SourceQuery, described: Described) -> Iterator[str]:
    if isinstance(described, str):
        yield f"Postgres refuses the query of {query.name}: {described}"
        return
    for column in query.columns:
        found = described.get(column.name)
        if found is None:
            yield f"the query of {query.name} has no column {column.name}"
        elif not is_compatible(column.type, found):
            yield _retyped(f"{query.name}.{column.name}", column, SourceColumn(found, nullable=True))


def _losable(query: SourceQuery, catalog: SourceCatalog) -> Iterator[str]:
    first, *others = query.base_tables
    for name in others:
        if name in catalog and not {first, *others}.intersection(catalog[name].guards.referenced_by):
            yield name


def _missing_table(name: str, undeclared: list[str]) -> str:
    return f"table {name} is missing{_renamed(get_close_matches(name, undeclared))}"


def _renamed(candidates: list[str]) -> str:
    if not candidates:
        return ""
    return f" ({', '.join(candidates)} {'is' if len(candidates) == 1 else 'are'} not declared: renamed?)"


def _denied(table: SourceTable, relation: FoundTable) -> Iterator[str]:
    if not relation.readable:
        found = [name for name in table.column_names if name in relation.columns]
        denied = [name for name in found if not relation.columns[name].readable]
        if len(denied) == len(found):
            yield f"no SELECT on {table.name}"
        else:
            yield f"SELECT on columns of {table.name} only, not on {', '.join(denied) or 'the table'}"
    if relation.filtered:
        yield f"row-level security hides rows of {table.name} from a role without BYPASSRLS"


def _drift(table: SourceTable, relation: FoundTable) -> Iterator[str]:
    for column in table.columns:
        found = relation.columns.get(column.name)
        label = f"{table.name}.{column.name}"
        if found is None:
            yield f"column {label} is missing{_renamed(_candidates(table, column, relation))}"
        elif not is_compatible(column.type, found.type):
            yield _retyped(label, column, found)
        else:
            yield from _missing_enum_labels(label, column, found.type)
            if found.nullable and column.name in table.key_names:
                yield f"column {label} is nullable, declared as the key"
    if set(table.key_names).issubset(relation.columns):
        yield from _key_drift(table, relation.guards)


def _candidates(table: SourceTable, column: Column, relation: FoundTable) -> list[str]:
    return [
        name
        for name, found in relation.columns.items()
        if name not in table.column_names and is_compatible(column.type, found.type)
    ]


def _retyped(label: str, column: Column, found: SourceColumn) -> str:
    differs = f"column {label} is {found.type.name}, declared as {column.type.postgres}"
    text = column.type.kind is Kind.TEXT and not is_compatible(column.type, found.type)
    return differs + (f": declare as_text({found.type.name!r}) to read its text" if text else "")


def _missing_enum_labels(label: str, column: Column, found: FoundType) -> Iterator[str]:
    if found.labels is None or not column.type.values:
        return
    added = [value for value in found.labels if value not in column.type.values]
    for value in column.type.values:
        if value not in found.labels:
            yield f"label {value} of {found.name} ({label}) is missing{_renamed(added)}"


def _key_drift(table: SourceTable, guards: KeyGuards) -> Iterator[str]:
    if guards.foreign:
        yield f"{table.name} includes foreign tables ({', '.join(guards.foreign)}), whose rows have no transaction id"
    if table.unenforced_key or guards.enforce(table.key_names):
        return
    if not guards.cover(table.key_names):
        unique = ", ".join(" + ".join(columns) for columns in guards.unique)
        yield f"key {table.name}.{table.key_label} has no unique index of its own ({unique or 'nothing'} is unique)"
    if guards.children:
        children = ", ".join(guards.children)
        yield f"{table.name} has child tables ({children}), whose rows no unique index on {table.key_label} covers"


def _non_breaking(table: SourceTable, relation: FoundTable) -> Iterator[NonBreakingChange]:
    for name, found in relation.columns.items():
        label = f"{table.name}.{name}"
        if name not in table.column_names:
            yield NonBreakingChange(f"column {label} is not declared", "ingest ignores it")
            continue
        column = table.column(name)
        if found.type.name != column.type.postgres:
            yield NonBreakingChange(_retyped(label, column, found), "its values are read as the declared type")
        elif column.type.values:
            for value in found.type.labels or ():
                if value not in column.type.values:
                    difference = f"label {value} of {found.type.name} ({label}) is not declared"
                    yield NonBreakingChange(difference, "it is read as text")
        if found.nullable and not column.nullable:
            yield NonBreakingChange(
                f"column {label} is nullable, declared as NOT NULL",
                "rows without a value that the warehouse requires are quarantined",
            )

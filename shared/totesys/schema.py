"""A model: all tables of one company, checked for consistency, and what follows from them."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TypeVar

from totesys.errors import ModelError
from totesys.source_relations import begins_with_select
from totesys.table import Capture, Column, Dimension, Fact, SourceQuery, SourceTable, Table, WarehouseTable

CONFORMED = "conformed"
# The schema of the warehouse that holds the ledger.
ETL = "etl"

T = TypeVar("T", bound=Table)


@dataclass(frozen=True)
class Reference:
    """The columns by which a table refers to a dimension, in the order of that dimension's key."""

    columns: tuple[str, ...]
    dimension: Dimension


@dataclass(frozen=True)
class Model:
    """The source tables and the warehouse tables of one company.

    `simulation` names the module that generates its data, for demos and tests; no service imports it.

    Raises ModelError if a declaration names something missing, or cannot be kept up to date.
    """

    name: str
    sources: tuple[SourceTable, ...]
    tables: tuple[WarehouseTable, ...]
    simulation: str | None = None

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ModelError(f"Model {self.name}: {problem}. Fix the declaration.")

    @cached_property
    def _sources_by_name(self) -> dict[str, SourceTable]:
        return {source.name: source for source in self.sources}

    @cached_property
    def _tables_by_name(self) -> dict[str, WarehouseTable]:
        return {table.name: table for table in self.tables}

    def source(self, name: str) -> SourceTable:
        """The source table called `name`. Raises KeyError."""
        return self._sources_by_name[name]

    def table(self, name: str) -> WarehouseTable:
        """The warehouse table called `name`. Raises KeyError."""
        return self._tables_by_name[name]

    @cached_property
    def declared(self) -> dict[str, tuple[str, ...]]:
        """The column names of each warehouse table."""
        return {table.name: table.column_names for table in self.tables}

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(table for table in self.tables if isinstance(table, Fact))

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """All dimensions, each after those that it refers to."""
        return tuple(table for table in sorted_by_references(self.tables) if isinstance(table, Dimension))

    @cached_property
    def stars(self) -> dict[str, tuple[WarehouseTable, ...]]:
        """The facts of each star, and the dimensions that they refer to."""
        return {
            star: (*facts, *(self.table(name) for name in self._dimensions_of(facts)))
            for star, facts in self._facts_by_star.items()
        }

    @cached_property
    def _facts_by_star(self) -> dict[str, tuple[Fact, ...]]:
        names = dict.fromkeys(fact.star for fact in self.facts)
        return {star: tuple(fact for fact in self.facts if fact.star == star) for star in names}

    def _dimensions_of(self, facts: Iterable[Fact]) -> list[str]:
        return list(dict.fromkeys(c.references for fact in facts for c in fact.columns if c.references))

    def references(self, table: WarehouseTable) -> tuple[Reference, ...]:
        """The references of a fact to dimensions with sources. A dimension without sources has every key anyway."""
        if not isinstance(table, Fact):
            return ()
        found: dict[tuple[str, ...], Dimension] = {}
        for column in table.columns:
            dimension = self.table(column.references) if column.references else None
            if isinstance(dimension, Dimension) and dimension.sources:
                several = len(dimension.key_names) > 1
                found[dimension.key_names if several else (column.name,)] = dimension
        return tuple(Reference(*pair) for pair in found.items())

    def lake_schema(self, table: Table) -> str:
        """The folder of a table in the lake: its star, or `conformed` if several stars use it."""
        built = [table] if isinstance(table, WarehouseTable) else self.built_from({table.name})
        stars = {star for star, members in self.stars.items() if any(member in members for member in built)}
        return stars.pop() if len(stars) == 1 else CONFORMED

    def built_from(self, sources: set[str]) -> list[WarehouseTable]:
        """The warehouse tables with one of these sources."""
        return [table for table in self.tables if sources.intersection(table.sources)]

    def built_from_first(self, sources: Container[str]) -> list[WarehouseTable]:
        """The warehouse tables whose first source, which has their keys, is one of these."""
        return [table for table in self.tables if table.sources and table.sources[0] in sources]

    def needed_with(self, changed: set[str]) -> set[str]:
        """The full-refresh tables that a run must contain if these have changed: a join needs all its sides."""
        return {name for table in self.built_from(changed) for name in table.sources}

    def source_columns(self, table: WarehouseTable, column: Column) -> tuple[str, ...]:
        """The source columns of a warehouse column, as `table.column`.

        They are those that it declares, else the column of its own name in the first source that has one.
        """
        if column.source:
            return tuple(name.strip() for name in column.source.split(","))
        same = (name for name in table.sources if column.name in self.source(name).column_names)
        return tuple(f"{name}.{column.name}" for name in same)[:1]

    @cached_property
    def extraction_order(self) -> tuple[SourceTable, ...]:
        """The source tables, in an order in which facts never precede the dimensions that they refer to."""
        order = {table.name: place for place, table in enumerate((*self.dimensions, *self.facts))}

        def place(source: SourceTable) -> tuple[bool, int]:
            first = min((order[table.name] for table in self.built_from({source.name})), default=0)
            return source.capture is Capture.INCREMENTAL, first

        return tuple(sorted(self.sources, key=place))


def sorted_by_references(tables: Iterable[T]) -> tuple[T, ...]:
    """The tables in order, but each after those that its columns refer to."""
    waiting = {table.name: table for table in tables}
    done: dict[str, T] = {}

    def put(table: T) -> None:
        waiting.pop(table.name, None)
        for column in table.columns:
            if column.references in waiting:
                put(waiting[column.references])
        done[table.name] = table

    while waiting:
        put(next(iter(waiting.values())))
    return tuple(done.values())


def load_model(module: str) -> Model:
    """The MODEL of the module named in a setting. Raises ModelError."""
    try:
        model = import_module(module).MODEL
    except ModelError:
        raise
    except Exception as error:  # the module may raise anything
        fault = f"{type(error).__name__}: {error}".removeprefix("AttributeError: ")
        raise ModelError(f"TOTESYS_MODEL is {module!r}, which has no MODEL: {fault}. Correct it.") from error
    if not isinstance(model, Model):
        raise ModelError(f"MODEL of {module!r} is a {type(model).__name__}, not a totesys.schema.Model.")
    return model


def _problems(model: Model) -> Iterable[str]:
    names = [table.name for table in (*model.sources, *model.tables)]
    if len(names) != len(set(names)):
        yield "two tables have the same name"
    for table in (*model.sources, *model.tables):
        if missing := [name for name in table.key_names if name not in table.column_names]:
            yield f"{table.name} has no column for its key {', '.join(missing)}"
            return
        for column in table.key_columns:
            if not column.type.can_be_key:
                yield f"{table.name}.{column.name} is {column.type.postgres}, which cannot be part of a key"
        if len(table.column_names) != len(set(table.column_names)):
            yield f"{table.name} names a column twice"
    for source in model.sources:
        if isinstance(source, SourceQuery) and not (source.tables and begins_with_select(source)):
            yield f"{source.name} needs the tables of its query, and SQL that begins with SELECT"
    for table in model.tables:
        yield from _problems_of(model, table)


def _problems_of(model: Model, table: WarehouseTable) -> Iterable[str]:
    unknown = set(table.sources) - {source.name for source in model.sources}
    if unknown:
        yield f"{table.name} is built from {sorted(unknown)}, which are not source tables"
        return
    captures = [model.source(name).capture for name in table.sources]
    if Capture.INCREMENTAL in captures and len(captures) > 1:
        yield (
            f"{table.name} joins an incremental table: a change in the other table would not reach "
            "rows that are already loaded. Join in a SourceQuery instead"
        )
    if table.sources and not _correspond(first := model.source(table.sources[0]), table):
        yield f"the key {table.key_label} of {table.name} does not correspond to {first.key_label} of {first.name}"
    yield from _reference_problems(model, table)
    for column in table.columns:
        if column.type.source_only:
            yield f"{table.name}.{column.name} is {column.type.postgres}, which only a source table can have"
    if isinstance(table, Fact) and not (table.star and table.record_id and table.sources):
        yield f"{table.name} is a fact without a star, a record id or a source"
    made = table.build if table.sources else getattr(table, "build_from_references", None)
    if made is None or not table.reference_query:
        yield f"{table.name} has no build function or no reference query"


def _correspond(source: SourceTable, table: WarehouseTable) -> bool:
    """Whether the table's key can be that of the source, column by column."""
    kinds = [[column.type.is_integer or column.type.kind for column in one.key_columns] for one in (source, table)]
    return kinds[0] == kinds[1]


def _same_form(one: Column, other: Column) -> bool:
    """Whether Postgres compares values of the columns."""
    forms = [column.type.is_integer or (column.type.kind, column.type.postgres == "uuid") for column in (one, other)]
    return forms[0] == forms[1]


def _reference_problems(model: Model, table: WarehouseTable) -> Iterable[str]:
    dimensions = {other.name: other for other in model.tables if isinstance(other, Dimension)}
    for column in table.columns:
        if not column.references:
            continue
        dimension = dimensions.get(column.references)
        if dimension is None:
            yield f"{table.name}.{column.name} refers to {column.references}, which is not a dimension"
        elif len(dimension.key_names) == 1 and not _same_form(column, dimension.key_columns[0]):
            yield f"{table.name}.{column.name} has another type than {dimension.name}.{dimension.only_key}"
        elif len(dimension.key_names) > 1:
            referring = [other.name for other in table.columns if other.references == dimension.name]
            if sorted(referring) != sorted(dimension.key_names):
                names = ", ".join(dimension.key_names)
                yield f"{table.name} refers to {dimension.name}, but not by columns named as its key: {names}"
                return

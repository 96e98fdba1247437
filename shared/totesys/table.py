"""The declarations of tables, from which keys, CSV, Parquet, DDL, merge and verification derive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from totesys.types import BIGINT, ColumnType

if TYPE_CHECKING:
    import polars as pl


class Capture(StrEnum):
    """How ingest captures a source table."""

    FULL_REFRESH = "snapshot"  # all rows, when any of them changed
    INCREMENTAL = "changes"  # the rows that changed


@dataclass(frozen=True)
class Column:
    """A column. `references` names the table whose key it holds.

    `description` and `source` document a warehouse column for analysts: what it contains, and the source columns that
    it is made from, as `table.column`, separated by commas; by default the source column of the same name. `unique`,
    `default` and `on_delete` are only used to create a source database.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    references: str | None = None
    description: str = ""
    source: str = ""
    unique: bool = False
    default: str | None = None
    on_delete: str | None = None


@dataclass(frozen=True)
class Table:
    """A name and its columns; `key` names the column that identifies a row, or the columns that do so together."""

    name: str
    columns: tuple[Column, ...]
    key: str | tuple[str, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def key_names(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def key_columns(self) -> tuple[Column, ...]:
        return tuple(self.column(name) for name in self.key_names)

    @property
    def key_label(self) -> str:
        """The key as messages name it."""
        return " + ".join(self.key_names)

    @property
    def only_key(self) -> str:
        """The column of a key that has only one. Raises ValueError."""
        (name,) = self.key_names
        return name

    @property
    def has_integer_key(self) -> bool:
        """Whether the key is one integer: such keys go by ranges, and others by their text."""
        return len(self.key_names) == 1 and self.key_columns[0].type.is_integer

    @property
    def keys(self) -> Table:
        """What a list of this table's keys consists of: ranges of integers, or the key's columns."""
        return KEY_RANGES if self.has_integer_key else Table(self.name, self.key_columns, self.key)

    def column(self, name: str) -> Column:
        """The column called `name`. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name}")


@dataclass(frozen=True)
class SourceTable(Table):
    """A table of the operational database.

    `unenforced_key` declares that keys are unique although no unique index on the key alone enforces that, as in a
    table partitioned by another column. Ingest then checks before it reads, which costs another scan.
    """

    capture: Capture = Capture.FULL_REFRESH
    unenforced_key: bool = False

    @property
    def base_tables(self) -> tuple[str, ...]:
        """The tables of the database that its rows come from."""
        return (self.name,)


@dataclass(frozen=True)
class SourceQuery(SourceTable):
    """The rows that a query makes of several tables of the operational database, captured like those of a table.

    `tables` gives the table behind each alias in the query's FROM. `sql` begins with SELECT; it may join, filter and
    cast, but not aggregate. A row counts as changed when a row of any of its tables changed. Joins that follow foreign
    keys cost least: no row can lose its other side then.
    """

    capture: Capture = Capture.INCREMENTAL
    sql: str = ""
    tables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def base_tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.tables.values()))


def full_refresh_tables(tables: Iterable[SourceTable]) -> list[SourceTable]:
    """Those of the tables that are captured by full refresh."""
    return [table for table in tables if table.capture is Capture.FULL_REFRESH]


# Ranges of keys without a gap, as a deletion sweep finds them.
KEY_RANGES = Table("key_ranges", (Column("first_key", BIGINT), Column("last_key", BIGINT)), key="first_key")

# Builds a warehouse table's rows from the frames of its sources, in their order. Undeclared columns are dropped; a row
# with NULL in a required column is quarantined.
Build: TypeAlias = "Callable[..., pl.LazyFrame]"

# Builds a dimension's rows from the distinct keys that a run refers to and the day of its snapshot.
BuildFromReferences: TypeAlias = "Callable[[pl.Series, date], pl.LazyFrame]"


@dataclass(frozen=True)
class WarehouseTable(Table):
    """A table of the warehouse; `description` says what one row is.

    `reference_query` is SQL over the source, independent of `build`, for the declared columns as they should be now.
    Verification compares the warehouse with it. A row with NULL in a required column can't become a warehouse row.
    """

    sources: tuple[str, ...] = ()
    build: Build | None = None
    reference_query: str = ""
    description: str = ""

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns of the table in the warehouse."""
        return self.columns


@dataclass(frozen=True)
class Dimension(WarehouseTable):
    """A table that facts refer to: one row per key, the newest. NULL in a required text becomes `Unknown`.

    A dimension without sources is made from the keys that facts refer to, by `build_from_references`. Its reference
    query reads them as column `key` of a relation `referenced`.
    """

    build_from_references: BuildFromReferences | None = None


@dataclass(frozen=True)
class Fact(WarehouseTable):
    """A table of versions: every change of a source row adds a row, numbered by `record_id`."""

    star: str = ""
    record_id: str = ""

    @property
    def current(self) -> str:
        """The name of the view of the newest version of each key."""
        return f"{self.name}_current"

    @property
    def as_of(self) -> str:
        """The name of the function for the version of each key at a given time."""
        return f"{self.name}_as_of"

    @property
    def version_id_column(self) -> Column:
        description = f"Number of this version; a later version of the same {self.key_label} has a greater one"
        return Column(self.record_id, BIGINT, description=description)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        return (self.version_id_column, *self.columns)

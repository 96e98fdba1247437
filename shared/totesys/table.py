"""What a table is: the declarations that keys, CSV reading, Parquet, DDL, merge and verification derive from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from totesys.types import BIGINT, ColumnType

if TYPE_CHECKING:
    import polars as pl


class Capture(StrEnum):
    """How ingest takes a source table into a run."""

    FULL_REFRESH = "snapshot"  # whole, when any of its rows changed
    INCREMENTAL = "changes"  # the rows that changed


@dataclass(frozen=True)
class Column:
    """A column. `references` names the table whose key it holds.

    `description` and `source` tell analysts of a warehouse column: what it says, and the source columns that it is made
    of, as `table.column` with commas between, where it has not the name of one. `unique`, `default` and `on_delete`
    only make a source database.
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
    """Columns under a name; `key` is the column that identifies a row."""

    name: str
    columns: tuple[Column, ...]
    key: str

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called `name`. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name}")


@dataclass(frozen=True)
class SourceTable(Table):
    """A table of the operational database.

    `unenforced_key` says that each key is there once although no unique index on exactly it enforces that, as in a
    table that is partitioned by another column. Ingest then looks itself before it reads, which costs another scan of
    the table.
    """

    capture: Capture = Capture.FULL_REFRESH
    unenforced_key: bool = False


def full_refresh_tables(tables: Iterable[SourceTable]) -> list[SourceTable]:
    """Those of the tables that are captured by full refresh."""
    return [table for table in tables if table.capture is Capture.FULL_REFRESH]


# Stretches of keys without a gap, as a sweep finds them.
KEY_RANGES = Table("key_ranges", (Column("first_key", BIGINT), Column("last_key", BIGINT)), key="first_key")

# Takes the frames of a warehouse table's sources, in their order, and gives its rows. Columns that are not
# declared are left out; a row whose required value comes out NULL is quarantined.
Build: TypeAlias = "Callable[..., pl.LazyFrame]"

# Takes the distinct keys that a run's rows refer to and the day of its snapshot, and gives a dimension's rows.
BuildFromReferences: TypeAlias = "Callable[[pl.Series, date], pl.LazyFrame]"


@dataclass(frozen=True)
class WarehouseTable(Table):
    """A table of the warehouse; `description` says what one row of it is.

    `reference_query` is SQL over the source, written apart from `build`, that gives the declared columns as they should
    now be. Verification compares the two. A row in which it gives NULL for a required column is one that
    cannot become a warehouse row.
    """

    sources: tuple[str, ...] = ()
    build: Build | None = None
    reference_query: str = ""
    description: str = ""

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns as the warehouse has them."""
        return self.columns


@dataclass(frozen=True)
class Dimension(WarehouseTable):
    """A table that facts refer to: one row a key, the newest. NULL in a required text becomes `Unknown`.

    A dimension without sources is made of the keys that facts refer to, by `build_from_references`; its
    reference query finds them as column `key` of a relation `referenced`.
    """

    build_from_references: BuildFromReferences | None = None


@dataclass(frozen=True)
class Fact(WarehouseTable):
    """A table of versions: every change of a source row is one more row, numbered by `record_id`."""

    star: str = ""
    record_id: str = ""

    @property
    def current(self) -> str:
        """The view of the newest version of each key."""
        return f"{self.name}_current"

    @property
    def as_of(self) -> str:
        """The function of the version of each key at a moment."""
        return f"{self.name}_as_of"

    @property
    def version_id_column(self) -> Column:
        description = f"Number of this version; a later version of the same {self.key} has a greater one"
        return Column(self.record_id, BIGINT, description=description)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        return (self.version_id_column, *self.columns)

"""The lakehouse's tables, derived from the model's declarations. Pure; needs no Iceberg library."""

from collections.abc import Iterator
from dataclasses import dataclass

from totesys.errors import ModelError
from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, WarehouseTable
from totesys.types import BIGINT, BOOLEAN, TEXT, ColumnType, Kind, timestamp

TIMESTAMP = timestamp()
RUN = "run"
SNAPSHOT_TIME = "snapshot_time"
LEDGER = "run"
DELETION = "deletion"


@dataclass(frozen=True)
class LakehouseColumn:
    """A column of an Iceberg table. `parts` are the declared columns that make its value: a date and a time, or one."""

    name: str
    type: ColumnType
    description: str = ""
    required: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class LakehouseTable:
    """An Iceberg table. `declared` is the warehouse table whose rows it holds; None for the lakehouse's own.

    If it `drops_repeats`, rows equal to their key's newest version are not appended: a dimension that comes whole,
    whenever any of its rows changed, would otherwise grow by all of its rows each time.
    """

    name: str
    columns: tuple[LakehouseColumn, ...]
    description: str
    declared: WarehouseTable | None = None
    drops_repeats: bool = False

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def value_columns(self) -> tuple[LakehouseColumn, ...]:
        """The columns that carry declared values: all but the run and its snapshot's timestamp."""
        return tuple(column for column in self.columns if column.parts)


_RUN = LakehouseColumn(RUN, BIGINT, "Run that brought the row", required=True)
_SNAPSHOT_TIME = LakehouseColumn(
    SNAPSHOT_TIME, TIMESTAMP, "When the source looked like this: the run's snapshot, in UTC", required=True
)

LEDGER_TABLE = LakehouseTable(
    LEDGER,
    (
        _RUN,
        LakehouseColumn("lake", TEXT, "The lake that the run belongs to"),
        LakehouseColumn("previous", BIGINT, "The run before it that has rows; 0: none"),
        LakehouseColumn("extraction", BIGINT, "First run of the snapshot that this run is a slice of"),
        LakehouseColumn("complete", BOOLEAN, "Whether this is the last run of its snapshot"),
        _SNAPSHOT_TIME,
        LakehouseColumn("skipped", BOOLEAN, "Whether a newer extraction had superseded it, so that it has no rows"),
        LakehouseColumn("trigger", TEXT, "What started the extraction"),
        LakehouseColumn("source", TEXT, "The source server"),
        LakehouseColumn("xmin_after", BIGINT, "Where the next extraction starts"),
        LakehouseColumn("swept", BOOLEAN, "Whether a deletion sweep was part of it"),
        LakehouseColumn("high_water_mark", TEXT, "The transactions that the snapshot had seen, as JSON"),
        LakehouseColumn("position", TEXT, "Where in its history the source was, as JSON"),
        LakehouseColumn("tables", TEXT, "Tables that the run brought, with commas between them"),
        LakehouseColumn("rows", BIGINT, "Rows that the run brought"),
        LakehouseColumn("committed_at", TIMESTAMP, "When all its rows had been committed, in UTC", required=True),
        LakehouseColumn("replayed_at", TIMESTAMP, "When the run was last replayed, in UTC"),
    ),
    "The ledger: a row for each run whose rows are all committed. Views read only runs that are in it",
)

DELETION_TABLE = LakehouseTable(
    DELETION,
    (
        LakehouseColumn("table_name", TEXT, "Table that the key belongs to", required=True),
        LakehouseColumn("id", BIGINT, "Key that the source had no longer; 0 if it is not an integer", required=True),
        _RUN,
        _SNAPSHOT_TIME,
        LakehouseColumn("key", TEXT, "Text of a key that is not an integer"),
    ),
    "Keys that a deletion sweep did not find. A row of the same key from a later run ends the deletion",
)


def lakehouse_tables(model: Model) -> tuple[LakehouseTable, ...]:
    """The tables in the order of their commits: dimensions, facts, deletions, and the ledger last.

    Raises ModelError if a declared table or column has a name that the lakehouse needs itself.
    """
    tables = tuple(_table(model, table) for table in (*model.dimensions, *model.facts))
    return (*tables, DELETION_TABLE, LEDGER_TABLE)


def _table(model: Model, table: WarehouseTable) -> LakehouseTable:
    columns = (*_value_columns(table), _RUN, _SNAPSHOT_TIME)
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if table.name in (LEDGER, DELETION) or twice:
        what = f"columns {', '.join(twice)} of {table.name}" if twice else f"table {table.name}"
        raise ModelError(f"The lakehouse has another use for the name of the {what}. Rename it in the model.")
    whole = isinstance(table, Dimension) and all(model.source(n).capture is Capture.FULL_REFRESH for n in table.sources)
    return LakehouseTable(table.name, columns, table.description, table, drops_repeats=whole)


def _value_columns(table: WarehouseTable) -> Iterator[LakehouseColumn]:
    for column in table.columns:
        if column.type.kind is Kind.TIME:
            yield _timestamp_or_text(table, column)
        else:
            required = column.name in table.key_names
            yield LakehouseColumn(column.name, column.type, column.description, required, (column.name,))


def _timestamp_or_text(table: WarehouseTable, time: Column) -> LakehouseColumn:
    """A time of day has no type that all engines read: with its date it becomes a timestamp, without one a text."""
    date = next((other for other in table.columns if _is_date_of(other, time)), None)
    if date is None:
        return LakehouseColumn(time.name, TEXT, f"{time.description} (HH:MM:SS.mmm)".strip(), parts=(time.name,))
    name = f"{time.name.removesuffix('_time')}_at"
    description = f"{date.name} with its time of day, by the source's clock"
    return LakehouseColumn(name, TIMESTAMP, description, parts=(date.name, time.name))


def _is_date_of(date: Column, time: Column) -> bool:
    same_source = bool(date.source) and date.source == time.source
    return date.type.kind is Kind.DATE and same_source

"""The lake as Glue tables for Athena, Spark and Redshift Spectrum, derived from the model. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from totesys.lake.keys import QUARANTINE, RUNS, part_key, run_folder
from totesys.lake.records import REASONS
from totesys.schema import Model
from totesys.table import Column, Fact, WarehouseTable
from totesys.types import ColumnType, Kind

RUN = "run"
RUN_DIGITS = len(run_folder(0).removeprefix(f"{RUN}="))
LAST_RUN = 10**RUN_DIGITS - 1

TEXT = "string"
TEXTS = "array<string>"
_TYPES = {
    Kind.INT32: "int",
    Kind.INT64: "bigint",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: TEXT,
    Kind.DATE: "date",
    Kind.TIMESTAMP: "timestamp",
    Kind.INSTANT: "timestamp",
    Kind.FLOAT32: "float",
    Kind.FLOAT64: "double",
    Kind.BYTES: "binary",
}


@dataclass(frozen=True)
class CatalogColumn:
    """A column with its Hive type."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class CatalogTable:
    """A table over all objects below `prefix` in the processed bucket: Parquet, or lines of text.

    A table `by_run` is partitioned by run. Athena derives the partitions from the keys, so none is registered.
    """

    name: str
    comment: str
    prefix: str
    columns: tuple[CatalogColumn, ...]
    by_run: bool = False
    parquet: bool = True

    @property
    def projection(self) -> dict[str, str]:
        """The properties from which Athena derives the location of each run's parts."""
        if not self.by_run:
            return {}
        return {
            "projection.enabled": "true",
            f"projection.{RUN}.type": "integer",
            f"projection.{RUN}.range": f"1,{LAST_RUN}",
            f"projection.{RUN}.digits": str(RUN_DIGITS),
        }

    def location(self, bucket: str) -> str:
        """The location of its objects."""
        return f"s3://{bucket}/{self.prefix}"

    def location_template(self, bucket: str) -> str:
        """The location of a run's objects; Athena fills in the digits of the run."""
        return f"{self.location(bucket)}{RUN}=${{{RUN}}}/"


def hive_type(declared: ColumnType) -> str | None:
    """The Hive type of a column; None for a time of day, which none of the readers supports.

    Transform writes it as Parquet TIME in milliseconds. Hive has no such type, and Athena and Spark refuse to read it
    as a number. Readers find columns by name, so they can do without it.
    """
    if declared.kind is Kind.DECIMAL:
        return "decimal({},{})".format(*declared.digits)
    return _TYPES.get(declared.kind)


def catalog(model: Model) -> tuple[CatalogTable, ...]:
    """All tables: two per warehouse table, one for its quarantine, and one for the runs' records."""
    records = CatalogTable(
        "record_line",
        "A line of a run's record; those of manifest.json name the committed parts",
        RUNS,
        (CatalogColumn("line", TEXT),),
        parquet=False,
    )
    return (*(made for table in model.tables for made in _tables_of(model, table)), records)


def _tables_of(model: Model, table: WarehouseTable) -> Iterator[CatalogTable]:
    prefix = _prefix(part_key(model.lake_schema(table), table.name, 0, 0, "parquet"))
    columns = tuple(_columns(table.columns))
    rows = "every version" if isinstance(table, Fact) else "as of each run"
    description = f"{table.description}; {rows}"
    yield CatalogTable(table.name, f"{description}; filter by run", prefix, columns, by_run=True)
    yield CatalogTable(f"{table.name}_all", f"{description}; the run is in $path", prefix, columns)
    if table.sources:
        yield CatalogTable(
            f"{table.name}_quarantine",
            f"Rows that could not become rows of {table.name}, as text, with the reasons; the run is in $path",
            f"{QUARANTINE}{prefix}",
            tuple(_quarantined(model, table)),
        )


def _prefix(key: str) -> str:
    return key[: key.index(f"{RUN}=")]


def _columns(columns: Iterable[Column]) -> Iterator[CatalogColumn]:
    for column in columns:
        of_type = hive_type(column.type)
        if of_type is not None:
            yield CatalogColumn(column.name, of_type, column.description)


def _quarantined(model: Model, table: WarehouseTable) -> Iterator[CatalogColumn]:
    # Transform quarantines source rows, load rows of the table.
    names = (*model.source(table.sources[0]).column_names, *table.column_names)
    yield CatalogColumn(REASONS, TEXTS)
    yield from (CatalogColumn(name, TEXT) for name in dict.fromkeys(names))

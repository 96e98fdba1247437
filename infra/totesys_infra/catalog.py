"""The lake as tables for Athena, Spark and Redshift Spectrum. Derived from the model; needs no CDK."""

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
}


@dataclass(frozen=True)
class CatalogColumn:
    """A column, with its type as Hive writes it."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class CatalogTable:
    """A table over all objects below `prefix` of the processed bucket: Parquet, or lines of text.

    One that is `by_run` has the run as a partition, which is worked out from the key; nobody has to register it.
    """

    name: str
    comment: str
    prefix: str
    columns: tuple[CatalogColumn, ...]
    by_run: bool = False
    parquet: bool = True

    @property
    def projection(self) -> dict[str, str]:
        """The properties by which Athena works out where each run's parts are."""
        if not self.by_run:
            return {}
        return {
            "projection.enabled": "true",
            f"projection.{RUN}.type": "integer",
            f"projection.{RUN}.range": f"1,{LAST_RUN}",
            f"projection.{RUN}.digits": str(RUN_DIGITS),
        }

    def location(self, bucket: str) -> str:
        """Where its objects are."""
        return f"s3://{bucket}/{self.prefix}"

    def location_template(self, bucket: str) -> str:
        """Where a run's objects are, for Athena to put the run's digits into."""
        return f"{self.location(bucket)}{RUN}=${{{RUN}}}/"


def hive_type(declared: ColumnType) -> str | None:
    """The type of a column in the catalog; None for a time of day, which none of the readers can read.

    Transform writes it as Parquet's TIME in milliseconds. Hive's types have no such thing, Athena and Spark refuse to
    read it as a number. Columns are found by name, so one that is left out does no harm.
    """
    if declared.kind is Kind.DECIMAL:
        return "decimal({},{})".format(*declared.digits)
    return _TYPES.get(declared.kind)


def catalog(model: Model) -> tuple[CatalogTable, ...]:
    """All tables: two of each warehouse table, one of its quarantine, and one of the runs' records."""
    records = CatalogTable(
        "record_line",
        "A line of a record of a run; those of manifest.json name the parts that are committed",
        RUNS,
        (CatalogColumn("line", TEXT),),
        parquet=False,
    )
    return (*(made for table in model.tables for made in _tables_of(model, table)), records)


def _tables_of(model: Model, table: WarehouseTable) -> Iterator[CatalogTable]:
    prefix = _prefix(part_key(model.lake_schema(table), table.name, 0, 0, "parquet"))
    columns = tuple(_columns(table.columns))
    rows = "every version" if isinstance(table, Fact) else "as each run brought it"
    description = f"{table.description}; {rows}"
    yield CatalogTable(table.name, f"{description}; name the runs", prefix, columns, by_run=True)
    yield CatalogTable(f"{table.name}_all", f"{description}; the run is in $path", prefix, columns)
    if table.sources:
        yield CatalogTable(
            f"{table.name}_quarantine",
            f"Rows that could not become those of {table.name}, as text, with the reasons; the run is in $path",
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
    # Transform keeps the row of the source, load that of the table.
    names = (*model.source(table.sources[0]).column_names, *table.column_names)
    yield CatalogColumn(REASONS, TEXTS)
    yield from (CatalogColumn(name, TEXT) for name in dict.fromkeys(names))

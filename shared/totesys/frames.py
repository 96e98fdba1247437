"""The Polars types of declared columns. Imported only by code that builds or compares frames."""

from collections.abc import Sequence

import polars as pl

from totesys.table import Table
from totesys.types import ColumnType, Kind

_SIMPLE: dict[Kind, pl.DataType] = {
    Kind.INT32: pl.Int32(),
    Kind.INT64: pl.Int64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.TEXT: pl.String(),
    Kind.DATE: pl.Date(),
    Kind.TIME: pl.Time(),
    Kind.FLOAT32: pl.Float32(),
    Kind.FLOAT64: pl.Float64(),
    Kind.BYTES: pl.Binary(),
}


def polars_type(declared: ColumnType) -> pl.DataType:
    """The Polars type of a declared column."""
    match declared.kind:
        case Kind.DECIMAL:
            return pl.Decimal(*declared.digits)
        case Kind.TIMESTAMP:
            return pl.Datetime(declared.unit)
        case Kind.INSTANT:
            return pl.Datetime(declared.unit, "UTC")
    return _SIMPLE[declared.kind]


def key_of(source: Table, table: Table, names: Sequence[str]) -> list[pl.Expr]:
    """The key of a source row as that of the table's row built from it, in columns of these names."""
    columns = zip(source.key_names, table.key_columns, names, strict=True)
    return [pl.col(own).cast(polars_type(column.type)).alias(name) for own, column, name in columns]


def polars_schema(table: Table) -> pl.Schema:
    """The declared columns as a Polars schema."""
    return pl.Schema({column.name: polars_type(column.type) for column in table.columns})

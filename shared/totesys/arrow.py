"""The Arrow form of declared columns. Only the services that read or write columnar data import this."""

import polars as pl
import pyarrow as pa

from totesys.table import Table

_SIMPLE = {
    pl.Int32(): pa.int32(),
    pl.Int64(): pa.int64(),
    pl.Boolean(): pa.bool_(),
    pl.String(): pa.string(),
    pl.Date(): pa.date32(),
    # Milliseconds: what the source keeps, and what every Parquet reader understands.
    pl.Time(): pa.time32("ms"),
    pl.Datetime("ms"): pa.timestamp("ms"),
}


def arrow_type(kind: pl.DataType) -> pa.DataType:
    """The Arrow type of a declared column's Polars type. Raises KeyError for one that no declaration uses."""
    if isinstance(kind, pl.Decimal):
        return pa.decimal128(kind.precision, kind.scale)
    return _SIMPLE[kind]


def arrow_schema(table: Table) -> pa.Schema:
    """The declared columns as an Arrow schema, with their nullability."""
    return pa.schema([pa.field(c.name, arrow_type(c.type.polars), c.nullable) for c in table.columns])

"""A run's Parquet as rows of a lakehouse table."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from totesys.arrow import arrow_type as declared_arrow_type
from totesys.errors import CorruptObject
from totesys.lake.records import ProcessedManifest
from totesys.table import Column
from totesys_lakehouse.iceberg_schema import arrow_schema, arrow_type
from totesys_lakehouse.lakehouse_tables import RUN, SNAPSHOT_TIME, LakehouseColumn, LakehouseTable

_DAY_US = 24 * 60 * 60 * 1_000_000


def naive_utc(moment: datetime) -> datetime:
    """A timestamp as the tables hold it: UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def rows_of_part(body: bytes, table: LakehouseTable, manifest: ProcessedManifest, where: str) -> pa.Table:
    """The rows of a part, with their run and its snapshot's timestamp.

    A column that the model has gained since the part was written is NULL. Raises CorruptObject if the part is not
    Parquet, lacks the key, or has a column of another type than declared.
    """
    try:
        part = pyarrow.parquet.ParquetFile(pa.BufferReader(body)).read()
    except pa.ArrowInvalid as error:
        raise CorruptObject(f"{where} is not valid Parquet: {error}. Trigger transform for its run again.") from error
    assert table.declared is not None
    _check_types(part, table, where)
    own = {
        RUN: pa.array([manifest.run], pa.int64()),
        SNAPSHOT_TIME: pa.array([naive_utc(manifest.snapshot_time)], pa.timestamp("us")),
    }
    columns = [
        _value(part, table, column)
        if column.parts
        else own[column.name].take(pa.array([0] * part.num_rows, pa.int64()))
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=arrow_schema(table))


def _check_types(part: pa.Table, table: LakehouseTable, where: str) -> None:
    assert table.declared is not None
    wrong = [
        column.name
        for column in table.declared.columns
        if (
            column.name in part.column_names and part.schema.field(column.name).type != declared_arrow_type(column.type)
        )
        or (column.name in table.declared.key_names and column.name not in part.column_names)
    ]
    if wrong:
        raise CorruptObject(
            f"{where} lacks columns of {table.name}, or has them with another type: {', '.join(wrong)}. "
            "Trigger transform for its run again."
        )


def _value(part: pa.Table, table: LakehouseTable, column: LakehouseColumn) -> pa.ChunkedArray:
    assert table.declared is not None
    parts = [_declared(part, table.declared.column(name)) for name in column.parts]
    if len(parts) == 2:
        return _timestamps(*parts)
    (values,) = parts
    return values.cast(arrow_type(column.type))


def _declared(part: pa.Table, column: Column) -> pa.ChunkedArray:
    if column.name in part.column_names:
        return part[column.name]
    return pa.chunked_array([pa.nulls(part.num_rows, declared_arrow_type(column.type))])


def _timestamps(dates: pa.ChunkedArray, times: pa.ChunkedArray) -> pa.ChunkedArray:
    days = pc.multiply(dates.cast(pa.int32()).cast(pa.int64()), _DAY_US)
    of_day = times.cast(pa.time64("us")).cast(pa.int64())
    return pc.add(days, of_day).cast(pa.timestamp("us"))

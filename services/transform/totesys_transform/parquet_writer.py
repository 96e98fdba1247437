"""Encodes frames as Parquet."""

import io

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from totesys.arrow import arrow_schema
from totesys.table import Table

# One row group a part: load reads a part as a whole, and other readers skip whole parts by their statistics.
_ROW_GROUP_ROWS = 1_000_000
_LONG_TEXT_BYTES = 1024


def to_parquet(frame: pl.DataFrame, table: Table) -> bytes:
    """A table's rows as Parquet, compressed with zstd, in the declared types."""
    return _write(frame.to_arrow().cast(arrow_schema(table)))


def to_plain_parquet(frame: pl.DataFrame) -> bytes:
    """Any frame as Parquet, in its own types."""
    return _write(frame.to_arrow())


def _write(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # A dictionary of numbers that rarely repeat costs time and enlarges the object. For long texts, a dictionary and
    # statistics (which hold the least and the greatest value) only cost memory.
    long = {name for name in table.column_names if table[name].nbytes > _LONG_TEXT_BYTES * table.num_rows}
    texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name not in long]
    pyarrow.parquet.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=_ROW_GROUP_ROWS,
        use_dictionary=texts or False,
        write_statistics=[name for name in table.column_names if name not in long] or False,
    )
    return sink.getvalue()

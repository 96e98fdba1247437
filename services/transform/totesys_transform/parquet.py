"""Frames as Parquet."""

import io

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from totesys.arrow import arrow_schema
from totesys.table import Table

# What is read back whole: one row group a part, so that readers elsewhere skip whole parts by their statistics.
_ROW_GROUP = 1_000_000
# A text, in bytes.
_LONG_TEXT = 1024


def to_parquet(frame: pl.DataFrame, table: Table) -> bytes:
    """A table's rows as Parquet, compressed with zstd, with the declared types."""
    return _write(frame.to_arrow().cast(arrow_schema(table)))


def to_plain_parquet(frame: pl.DataFrame) -> bytes:
    """Any frame as Parquet, with the frame's own types."""
    return _write(frame.to_arrow())


def _write(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # A dictionary of numbers that hardly repeat costs time and makes the object larger. Of long texts, a dictionary and
    # statistics, which hold the least and the greatest, only cost memory.
    long = {name for name in table.column_names if table[name].nbytes > _LONG_TEXT * table.num_rows}
    texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name not in long]
    pyarrow.parquet.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=_ROW_GROUP,
        use_dictionary=texts or False,
        write_statistics=[name for name in table.column_names if name not in long] or False,
    )
    return sink.getvalue()

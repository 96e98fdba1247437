"""A part's CSV as a frame with the declared types."""

import polars as pl
import pyarrow as pa
import pyarrow.csv
from totesys.arrow import arrow_type
from totesys.table import SourceTable

# Postgres writes an unquoted empty field for NULL and a quoted one for the empty string, booleans as t and f.
_NULLS: dict[str, object] = {
    "null_values": [""],
    "strings_can_be_null": True,
    "quoted_strings_can_be_null": False,
    "true_values": ["t"],
    "false_values": ["f"],
}
_BLOCK_BYTES = 4 * 1024 * 1024


def read_csv(data: bytes, table: SourceTable) -> pl.DataFrame:
    """The rows with the declared types. A value that its type cannot hold (an infinite timestamp, NaN) is NULL.

    Raises pyarrow.ArrowInvalid if the bytes are not the table's CSV at all.
    """
    try:
        typed = {column.name: arrow_type(column.type.polars) for column in table.columns}
        return _frame(_read(data, typed, _BLOCK_BYTES))
    except pa.ArrowInvalid:
        # Some value does not fit, or a row is longer than a block.
        return read_text(data, table).select(_lenient(table))


def read_text(data: bytes, table: SourceTable) -> pl.DataFrame:
    """The rows as Postgres printed them: every column text."""
    return _frame(_read(data, dict.fromkeys(table.column_names, pa.string()), max(len(data), 1)))


def _read(data: bytes, types: dict[str, pa.DataType], block_bytes: int) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(block_size=block_bytes),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types), **_NULLS),
    )


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _lenient(table: SourceTable) -> list[pl.Expr]:
    return [_parsed(pl.col(column.name), column.type.polars) for column in table.columns]


def _parsed(text: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Boolean):
        return text == "t"
    if isinstance(kind, pl.Datetime):
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms", strict=False)
    if isinstance(kind, pl.Date):
        return text.str.to_date("%Y-%m-%d", strict=False)
    if isinstance(kind, pl.Time):
        return text.str.to_time("%H:%M:%S%.f", strict=False)
    return text.cast(kind, strict=False)

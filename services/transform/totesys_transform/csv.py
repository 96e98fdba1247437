"""A part's CSV as a frame with the declared types."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.csv

from totesys.arrow import arrow_type
from totesys.frames import key_type, polars_type
from totesys.lake.records import REASONS
from totesys.table import Table

# Postgres writes an unquoted empty field for NULL and a quoted one for the empty string, booleans as t and f.
_NULLS: dict[str, object] = {
    "null_values": [""],
    "strings_can_be_null": True,
    "quoted_strings_can_be_null": False,
    "true_values": ["t"],
    "false_values": ["f"],
}
# Every thread holds a few blocks, as read and as parsed.
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Rows:
    """A source table's rows with the declared types.

    A value that its type cannot hold (an infinite timestamp, NaN) is NULL. Where the source has NULLs too, nobody
    could tell: `unreadable` names such rows, by `key`, with the reasons of each.
    """

    frame: pl.DataFrame
    unreadable: pl.DataFrame


def read_csv(data: bytes, table: Table) -> Rows:
    """The rows. Raises pyarrow.ArrowInvalid if the bytes are not the table's CSV at all."""
    try:
        typed = {column.name: arrow_type(column.type) for column in table.columns}
        frame = _frame(_read(data, typed, _BLOCK_BYTES))
        return Rows(frame, no_reasons(key_type(table)))
    except pa.ArrowInvalid:
        # Some value does not fit, or a row is longer than a block.
        text = read_text(data, table)
        frame = text.select(_lenient(table))
        return Rows(frame, _unreadable(text, frame, table))


def concat(several: Sequence[Rows]) -> Rows:
    """The rows of all parts."""
    return Rows(pl.concat([rows.frame for rows in several]), pl.concat([rows.unreadable for rows in several]))


def no_reasons(key: pl.DataType) -> pl.DataFrame:
    """No row with reasons, of a table with such a key."""
    return pl.DataFrame(schema={"key": key, REASONS: pl.List(pl.String)})


def read_text(data: bytes, table: Table) -> pl.DataFrame:
    """The rows as Postgres printed them: every column text."""
    return _frame(_read(data, dict.fromkeys(table.column_names, pa.string()), max(len(data), 1)))


def _read(data: bytes, types: dict[str, pa.DataType], block_bytes: int) -> pa.Table:
    # Where nothing is quoted no field holds a newline: rows are found without a look at every character.
    quoted = b'"' in data
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(block_size=block_bytes),
        parse_options=pyarrow.csv.ParseOptions(quote_char='"' if quoted else False, newlines_in_values=quoted),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types), **_NULLS),
    )


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _unreadable(text: pl.DataFrame, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    faulty = [(column, text[column.name].is_not_null() & frame[column.name].is_null()) for column in table.columns]
    reasons = pl.select(pl.concat_list(pl.when(fault).then(pl.lit(no_value(column.name))) for column, fault in faulty))
    hidden = pl.select(pl.any_horizontal(fault for column, fault in faulty if column.nullable)).to_series()
    rows = pl.DataFrame({"key": frame[table.key], REASONS: reasons.to_series().list.drop_nulls()})
    return rows.filter(hidden)


def no_value(column: str) -> str:
    """The reason why a row is left out whose value in the column is needed."""
    return f"{column} has no valid value"


def _lenient(table: Table) -> list[pl.Expr]:
    return [_parsed(pl.col(column.name), polars_type(column.type)) for column in table.columns]


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

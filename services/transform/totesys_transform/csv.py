"""A part's CSV as a frame with the declared types."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time

import polars as pl
import pyarrow as pa
import pyarrow.csv

from totesys.arrow import arrow_type
from totesys.frames import polars_type
from totesys.lake.records import REASONS
from totesys.representable import FIRST_DAY, LAST_DAY, ROW_BYTES, texts
from totesys.table import Column, Table
from totesys.types import Kind
from totesys_transform.reasons import not_valid, too_long

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
# What is kept of each text of a row that is too long.
_KEPT_CHARACTERS = 1000
# Values that stand in for those that cannot be read. Any will do that is not NULL.
_STAND_INS: dict[Kind, object] = {
    Kind.INT32: 0,
    Kind.INT64: 0,
    Kind.BOOLEAN: False,
    Kind.DATE: date(1970, 1, 1),
    Kind.TIME: time(),
    Kind.MOMENT: datetime.fromisoformat("1970-01-01"),
    Kind.DECIMAL: 0,
}
# The position of a row in its table's frame.
ROW = "row"
_TOO_LONG = "too long"
_FAULTS = pl.Schema({ROW: pl.UInt32(), REASONS: pl.List(pl.String)})


@dataclass(frozen=True)
class Rows:
    """A source table's rows with the declared types.

    A value that its type cannot hold is NULL in `frame`, and so are the texts of a row that is too long. Then
    `stand_in` has the same rows with other values in these places: what is built otherwise of the one than of the
    other depends on them. `faults` are the reasons, by position of the row.
    """

    frame: pl.DataFrame
    stand_in: pl.DataFrame | None = None
    faults: pl.DataFrame = field(default_factory=_FAULTS.to_frame)

    @property
    def standing_in(self) -> pl.DataFrame:
        return self.frame if self.stand_in is None else self.stand_in


def read_csv(data: bytes, table: Table) -> Rows:
    """The rows. Raises pyarrow.ArrowInvalid if the bytes are not the table's CSV at all."""
    if len(data) > ROW_BYTES:
        return _read_with_faults(data, table)
    try:
        typed = {column.name: arrow_type(column.type) for column in table.columns}
        return Rows(_frame(_read(data, typed, _BLOCK_BYTES)))
    except pa.ArrowInvalid:
        # Some value does not fit, or a row is longer than a block.
        return _read_with_faults(data, table)


def concat(several: Sequence[Rows]) -> Rows:
    """The rows of all parts."""
    faults, before = [], 0
    for rows in several:
        faults.append(rows.faults.with_columns(pl.col(ROW) + before))
        before += rows.frame.height
    return Rows(
        pl.concat([rows.frame for rows in several]),
        None if all(rows.stand_in is None for rows in several) else pl.concat([rows.standing_in for rows in several]),
        pl.concat([_FAULTS.to_frame(), *faults]),
    )


def read_text(data: bytes, table: Table) -> pl.DataFrame:
    """The rows as Postgres printed them, every column text; of a row that is too long, only how its texts begin."""
    text = _frame(_read(data, dict.fromkeys(table.column_names, pa.string()), max(len(data), 1)))
    return text if len(data) <= ROW_BYTES else _shortened(text, table).drop(_TOO_LONG)


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


def _read_with_faults(data: bytes, table: Table) -> Rows:
    text = _shortened(_frame(_read(data, dict.fromkeys(table.column_names, pa.string()), max(len(data), 1))), table)
    frame = text.select(_parsed(column) for column in table.columns)
    faulty = [(column, text[column.name].is_not_null() & frame[column.name].is_null()) for column in table.columns]
    faults = text.select(
        pl.concat_list(
            *(_reason(column, fault) for column, fault in faulty if column.type.kind is not Kind.TEXT), _TOO_LONG
        )
        .list.drop_nulls()
        .alias(REASONS)
    ).with_row_index(ROW)
    faults = faults.filter(pl.col(REASONS).list.len() > 0).cast(_FAULTS)  # type: ignore[arg-type]
    if faults.is_empty():
        return Rows(frame)
    stand_in = text.select(_stood_in(column, table, frame[column.name], fault) for column, fault in faulty)
    return Rows(frame, stand_in, faults)


def _reason(column: Column, fault: pl.Series) -> pl.Expr:
    return pl.when(fault).then(not_valid(column.name, column.type, pl.col(column.name)))


def _stood_in(column: Column, table: Table, parsed: pl.Series, fault: pl.Series) -> pl.Expr:
    """The column with a value in the place of what could not be read. A key is not made up."""
    if column.name == table.key or not fault.any():
        return pl.lit(parsed)
    if column.type.kind is Kind.TEXT:
        return pl.col(column.name)
    value = pl.lit(_STAND_INS[column.type.kind]).cast(parsed.dtype)
    return pl.when(fault).then(value).otherwise(pl.lit(parsed)).alias(column.name)


def _shortened(text: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The rows, of one that is too long only how its texts begin, with the reason as a column of its own."""
    lengths = {name: pl.col(name).str.len_bytes().cast(pl.Int64).fill_null(0) for name in texts(table.columns)}
    if not lengths:
        return text.with_columns(pl.lit(None, pl.String).alias(_TOO_LONG))
    total, most = pl.sum_horizontal(lengths.values()), pl.max_horizontal(lengths.values())
    longest = pl.coalesce(pl.when(length == most).then(pl.lit(name)) for name, length in lengths.items())
    reason = pl.when(total > ROW_BYTES).then(too_long(longest, most, total)).alias(_TOO_LONG)
    reasons = text.select(reason).to_series()
    if not reasons.null_count() < text.height:
        return text.with_columns(reasons)
    begun = pl.when(reasons.is_null()).then(pl.col(lengths)).otherwise(pl.col(lengths).str.head(_KEPT_CHARACTERS))
    return text.with_columns(begun, reasons)


def _parsed(column: Column) -> pl.Expr:
    kind, text = column.type.kind, pl.col(column.name)
    if kind is Kind.TEXT:
        return pl.when(pl.col(_TOO_LONG).is_null()).then(text)
    if kind is Kind.BOOLEAN:
        return text == "t"
    if kind is Kind.MOMENT:
        return _within(text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms", strict=False))
    if kind is Kind.DATE:
        return _within(text.str.to_date("%Y-%m-%d", strict=False))
    if kind is Kind.TIME:
        return text.str.to_time("%H:%M:%S%.f", strict=False)
    return text.cast(polars_type(column.type), strict=False)


def _within(value: pl.Expr) -> pl.Expr:
    """What lake and warehouse can hold."""
    return pl.when(value.dt.year().is_between(FIRST_DAY.year, LAST_DAY.year)).then(value)

"""A part's CSV as a frame with the declared types."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from totesys.arrow import arrow_type
from totesys.frames import polars_type
from totesys.lake.records import REASONS
from totesys.representable import FIRST_DAY, LAST_DAY, ROW_BYTES, texts
from totesys.table import Column, Table
from totesys.types import Kind
from totesys_transform.reasons import not_utf8, not_valid, too_long

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
    Kind.TIMESTAMP: datetime.fromisoformat("1970-01-01"),
    Kind.DECIMAL: 0,
}
# The position of a row in its table's frame.
ROW = "row"
_TOO_LONG = "too long"
# Before the name of a column: whether its text had bytes that are not UTF-8.
_NOT_UTF8 = "not UTF-8: "
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
    """The rows as Postgres printed them, every column text; of a row that is too long, only how its texts begin.

    A byte that is not UTF-8 is written as `\\xff`.
    """
    return _text_with_lengths(data, table).select(table.column_names)


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
    text = _text_with_lengths(data, table)
    whole = text[_TOO_LONG].null_count() == text.height
    frame = text.select(_parsed(column, text, whole=whole) for column in table.columns)
    # Each text can be read, but those of a row that is too long, or not UTF-8.
    escaped = [name for name in table.column_names if _NOT_UTF8 + name in text.columns]
    faulty = {
        column.name: text[column.name].is_not_null() & frame[column.name].is_null()
        for column in table.columns
        if not (whole and column.type.kind is Kind.TEXT and column.name not in escaped)
    }
    reasons = [
        pl.when(faulty[column.name]).then(not_valid(column.name, column.type, pl.col(column.name)))
        for column in table.columns
        if column.type.kind is not Kind.TEXT
    ]
    reasons += [pl.when(_NOT_UTF8 + name).then(not_utf8(name)) for name in escaped]
    faults = text.select(pl.concat_list(*reasons, _TOO_LONG).list.drop_nulls().alias(REASONS)).with_row_index(ROW)
    faults = faults.filter(pl.col(REASONS).list.len() > 0).cast(_FAULTS)
    if faults.is_empty():
        return Rows(frame)
    # A key is not made up.
    made_up = {
        column.name: pl.when(fault).then(_stand_in(column)).otherwise(pl.lit(frame[column.name])).alias(column.name)
        for column in table.columns
        if column.name != table.key and (fault := faulty.get(column.name)) is not None and fault.any()
    }
    stand_in = text.select(made_up.get(name, pl.lit(frame[name])) for name in table.column_names)
    return Rows(frame, stand_in, faults)


def _stand_in(column: Column) -> pl.Expr:
    """Another value in the place of what could not be read."""
    if column.type.kind is Kind.TEXT:
        return pl.col(column.name)
    return pl.lit(_STAND_INS[column.type.kind]).cast(polars_type(column.type))


def _read_text(data: bytes, table: Table) -> pa.Table:
    """The rows as text. A column of which some are not UTF-8 has another one beside it, true of these."""
    whole = max(len(data), 1)
    try:
        return _read(data, dict.fromkeys(table.column_names, pa.string()), whole)
    except pa.ArrowInvalid:
        raw = _read(data, dict.fromkeys(table.column_names, pa.binary()), whole)
    return pa.table({name: values for column in table.column_names for name, values in _decoded(column, raw[column])})


def _decoded(name: str, raw: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray | pa.Array]]:
    try:
        yield name, raw.cast(pa.string())
    except pa.ArrowInvalid:
        values = raw.to_pylist()
        texts = [None if value is None else value.decode(errors="backslashreplace") for value in values]
        yield name, pa.array(texts, pa.string())
        # An escape is longer than what it stands for.
        other = [text is not None and text.encode() != value for text, value in zip(texts, values, strict=True)]
        yield _NOT_UTF8 + name, pa.array(other, pa.bool_())


def _text_with_lengths(data: bytes, table: Table) -> pl.DataFrame:
    """The rows as text, and in a column of its own the reason of each that is too long."""
    text = _read_text(data, table)
    reasons = pa.nulls(text.num_rows, pa.string())
    names = texts(table.columns)
    if len(data) > ROW_BYTES and names:
        # By Arrow, which copies no text for it.
        lengths = {name: pc.fill_null(pc.binary_length(text[name]).cast(pa.int64()), 0) for name in names}
        long = pc.greater(functools.reduce(pc.add, lengths.values()), ROW_BYTES)
        if pc.any(long).as_py():
            reasons = _too_long(lengths, long)
            for name in names:
                begun = pc.if_else(long, pc.utf8_slice_codeunits(text[name], 0, _KEPT_CHARACTERS), text[name])
                text = text.set_column(text.column_names.index(name), name, begun)
    return _frame(text.append_column(_TOO_LONG, reasons))


def _too_long(lengths: Mapping[str, pa.ChunkedArray], long: pa.ChunkedArray) -> pa.Array:
    return pa.array(
        [
            too_long({name: column[row].as_py() for name, column in lengths.items()}) if is_long.as_py() else None
            for row, is_long in enumerate(long)
        ],
        pa.string(),
    )


def _parsed(column: Column, of: pl.DataFrame, *, whole: bool) -> pl.Expr:
    kind, text = column.type.kind, pl.col(column.name)
    if kind is Kind.TEXT:
        if (other := _NOT_UTF8 + column.name) in of.columns:
            text = pl.when(~pl.col(other)).then(text)
        return text if whole else pl.when(pl.col(_TOO_LONG).is_null()).then(text)
    if kind is Kind.BOOLEAN:
        return text == "t"
    if kind is Kind.TIMESTAMP:
        return _within(text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ms", strict=False))
    if kind is Kind.DATE:
        return _within(text.str.to_date("%Y-%m-%d", strict=False))
    if kind is Kind.TIME:
        return text.str.to_time("%H:%M:%S%.f", strict=False)
    return text.cast(polars_type(column.type), strict=False)


def _within(value: pl.Expr) -> pl.Expr:
    """What lake and warehouse can hold."""
    return pl.when(value.dt.year().is_between(FIRST_DAY.year, LAST_DAY.year)).then(value)

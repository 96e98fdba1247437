"""Reads a part's CSV into frames: with the declared types, or as text."""

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
from totesys_transform.quarantine_reasons import not_utf8, not_valid, too_long

# Postgres writes an unquoted empty field for NULL, a quoted one for the empty string, and booleans as t and f.
_NULLS: dict[str, object] = {
    "null_values": [""],
    "strings_can_be_null": True,
    "quoted_strings_can_be_null": False,
    "true_values": ["t"],
    "false_values": ["f"],
}
# Every thread holds a few blocks, as bytes and parsed.
_BLOCK_BYTES = 1024 * 1024
# How much of each text is kept of a row that is too long.
_KEPT_CHARACTERS = 1000
# Stand-ins for values that cannot be read: any value but NULL would do.
_STAND_INS: dict[Kind, object] = {
    Kind.INT32: 0,
    Kind.INT64: 0,
    Kind.BOOLEAN: False,
    Kind.DATE: date(1970, 1, 1),
    Kind.TIME: time(),
    Kind.TIMESTAMP: datetime.fromisoformat("1970-01-01"),
    Kind.INSTANT: datetime.fromisoformat("1970-01-01T00:00:00Z"),
    Kind.DECIMAL: 0,
    Kind.FLOAT32: 0,
    Kind.FLOAT64: 0,
    Kind.BYTES: b"",
}
# The position of a row in its table's frame.
ROW = "row"
_TOO_LONG = "too long"
# Prefix of the column that tells in which rows a column's text had bytes that are not UTF-8.
_NOT_UTF8 = "not UTF-8: "
_FAULTS = pl.Schema({ROW: pl.UInt32(), REASONS: pl.List(pl.String)})


@dataclass(frozen=True)
class SourceRows:
    """A source table's rows in the declared types.

    `frame` has NULL for a value that its type cannot hold and for every text of a row that is too long. `stand_in`
    then has the same rows with stand-ins there: whatever is built differently from the two frames depends on these
    values. `faults` gives the reasons by position of the row.
    """

    frame: pl.DataFrame
    stand_in: pl.DataFrame | None = None
    faults: pl.DataFrame = field(default_factory=_FAULTS.to_frame)

    @property
    def standing_in(self) -> pl.DataFrame:
        return self.frame if self.stand_in is None else self.stand_in


def read_csv(data: bytes, table: Table) -> SourceRows:
    """The rows of a part. Raises pyarrow.ArrowInvalid if the bytes are not CSV of this table."""
    if len(data) > ROW_BYTES:
        return _read_with_faults(data, table)
    try:
        typed = {column.name: _csv_type(column) for column in table.columns}
        frame = _frame(_read(data, typed, _BLOCK_BYTES))
        return SourceRows(
            frame.with_columns(_completed(column) for column in table.columns if column.type.kind in _INCOMPLETE)
        )
    except pa.ArrowInvalid:
        # A value does not fit its type, or a row is longer than a block.
        return _read_with_faults(data, table)


# Arrow reads the text of bytes, and of an instant the time without its zone.
_INCOMPLETE = (Kind.INSTANT, Kind.BYTES)


def _csv_type(column: Column) -> pa.DataType:
    match column.type.kind:
        case Kind.INSTANT:
            return pa.timestamp(column.type.unit)
        case Kind.BYTES:
            return pa.string()
    return arrow_type(column.type)


def _completed(column: Column) -> pl.Expr:
    value = pl.col(column.name)
    return value.dt.replace_time_zone("UTC") if column.type.kind is Kind.INSTANT else value.str.decode("hex")


def concat(several: Sequence[SourceRows]) -> SourceRows:
    """The rows of several parts in order."""
    faults, before = [], 0
    for rows in several:
        faults.append(rows.faults.with_columns(pl.col(ROW) + before))
        before += rows.frame.height
    return SourceRows(
        pl.concat([rows.frame for rows in several]),
        None if all(rows.stand_in is None for rows in several) else pl.concat([rows.standing_in for rows in several]),
        pl.concat([_FAULTS.to_frame(), *faults]),
    )


def read_text(data: bytes, table: Table) -> pl.DataFrame:
    """The rows as Postgres printed them, in text columns. Texts of a row that is too long are cut.

    A byte that is not UTF-8 appears as `\\xff`.
    """
    return _text_with_lengths(data, table).select(table.column_names)


def _read(data: bytes, types: dict[str, pa.DataType], block_bytes: int) -> pa.Table:
    # Without quotes, no field holds a newline, and the reader finds rows without looking at every character.
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


def _read_with_faults(data: bytes, table: Table) -> SourceRows:
    text = _text_with_lengths(data, table)
    none_too_long = text[_TOO_LONG].null_count() == text.height
    frame = text.select(_parsed(column, text, none_too_long=none_too_long) for column in table.columns)
    # Every text is readable, except in a row that is too long and where it is not UTF-8.
    escaped = [name for name in table.column_names if _NOT_UTF8 + name in text.columns]
    faulty = {
        column.name: text[column.name].is_not_null() & frame[column.name].is_null()
        for column in table.columns
        if not (none_too_long and column.type.kind is Kind.TEXT and column.name not in escaped)
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
        return SourceRows(frame)
    # A key gets no stand-in.
    stand_ins = {
        column.name: pl.when(fault).then(_stand_in(column)).otherwise(pl.lit(frame[column.name])).alias(column.name)
        for column in table.columns
        if column.name not in table.key_names and (fault := faulty.get(column.name)) is not None and fault.any()
    }
    stand_in = text.select(stand_ins.get(name, pl.lit(frame[name])) for name in table.column_names)
    return SourceRows(frame, stand_in, faults)


def _stand_in(column: Column) -> pl.Expr:
    if column.type.kind is Kind.TEXT:
        return pl.col(column.name)
    return pl.lit(_STAND_INS[column.type.kind]).cast(polars_type(column.type))


def _read_text(data: bytes, table: Table) -> pa.Table:
    """The rows as text. A column with bytes that are not UTF-8 has a second one, true in the rows with such bytes."""
    block_bytes = max(len(data), 1)
    try:
        return _read(data, dict.fromkeys(table.column_names, pa.string()), block_bytes)
    except pa.ArrowInvalid:
        raw = _read(data, dict.fromkeys(table.column_names, pa.binary()), block_bytes)
    return pa.table({name: values for column in table.column_names for name, values in _decoded(column, raw[column])})


def _decoded(name: str, raw: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray | pa.Array]]:
    try:
        yield name, raw.cast(pa.string())
    except pa.ArrowInvalid:
        values = raw.to_pylist()
        decoded = [None if value is None else value.decode(errors="backslashreplace") for value in values]
        yield name, pa.array(decoded, pa.string())
        # An escape is longer than the byte that it replaces.
        other = [text is not None and text.encode() != value for text, value in zip(decoded, values, strict=True)]
        yield _NOT_UTF8 + name, pa.array(other, pa.bool_())


def _text_with_lengths(data: bytes, table: Table) -> pl.DataFrame:
    """The rows as text, with a column that has the reason for each row that is too long."""
    text = _read_text(data, table)
    reasons = pa.nulls(text.num_rows, pa.string())
    names = texts(table.columns)
    if len(data) > ROW_BYTES and names:
        # In Arrow, which copies no text for this.
        lengths = {name: pc.fill_null(pc.binary_length(text[name]).cast(pa.int64()), 0) for name in names}
        long = pc.greater(functools.reduce(pc.add, lengths.values()), ROW_BYTES)
        if pc.any(long).as_py():
            reasons = _too_long(lengths, long)
            for name in names:
                cut = pc.if_else(long, pc.utf8_slice_codeunits(text[name], 0, _KEPT_CHARACTERS), text[name])
                text = text.set_column(text.column_names.index(name), name, cut)
    return _frame(text.append_column(_TOO_LONG, reasons))


def _too_long(lengths: Mapping[str, pa.ChunkedArray], long: pa.ChunkedArray) -> pa.Array:
    return pa.array(
        [
            too_long({name: column[row].as_py() for name, column in lengths.items()}) if is_long.as_py() else None
            for row, is_long in enumerate(long)
        ],
        pa.string(),
    )


def _parsed(column: Column, of: pl.DataFrame, *, none_too_long: bool) -> pl.Expr:
    kind, text = column.type.kind, pl.col(column.name)
    if kind is Kind.TEXT:
        if (other := _NOT_UTF8 + column.name) in of.columns:
            text = pl.when(~pl.col(other)).then(text)
        return text if none_too_long else pl.when(pl.col(_TOO_LONG).is_null()).then(text)
    if kind is Kind.BYTES:
        return (text if none_too_long else pl.when(pl.col(_TOO_LONG).is_null()).then(text)).str.decode("hex")
    if kind is Kind.BOOLEAN:
        return text == "t"
    if kind in (Kind.TIMESTAMP, Kind.INSTANT):
        value = _within(text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit=column.type.unit, strict=False))
        return value.dt.replace_time_zone("UTC") if kind is Kind.INSTANT else value
    if kind is Kind.DATE:
        return _within(text.str.to_date("%Y-%m-%d", strict=False))
    if kind is Kind.TIME:
        return text.str.to_time("%H:%M:%S%.f", strict=False)
    if kind is Kind.DECIMAL:
        # A cast would round.
        text = pl.when(text.str.contains(rf"^-?[0-9]+(\.[0-9]{{0,{column.type.digits[1]}}}0*)?$")).then(text)
    return text.cast(polars_type(column.type), strict=False)


def _within(value: pl.Expr) -> pl.Expr:
    """NULL outside the years that the lake and the warehouse can hold."""
    return pl.when(value.dt.year().is_between(FIRST_DAY.year, LAST_DAY.year)).then(value)

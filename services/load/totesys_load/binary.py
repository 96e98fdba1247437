"""Encodes Arrow rows for Postgres' binary COPY, without a Python object per value.

The stream follows "Binary Format" in the documentation of COPY, and each value the `recv` function of its type:
big-endian, dates and times counted from 2000, a numeric in digits of base 10,000.
"""

import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"

# Rows whose bytes fit into a processor's cache.
BLOCK_ROWS = 2048
_NULL = b"\xff\xff\xff\xff"
_NOTHING = pa.scalar(b"", pa.binary())
_FIRST_DAY = date(2000, 1, 1)
_DAYS = (_FIRST_DAY - date(1970, 1, 1)).days
_MILLISECONDS = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1000)
_BASE = 10_000
_BASE_DIGITS = 4
_INT64_DIGITS = 18
_SIGN_NEGATIVE = 0x4000


@dataclass(frozen=True)
class _Values:
    """One value per row, `width` bytes each. The bytes in place of a NULL are arbitrary."""

    width: int
    data: bytes


def encode(batch: pa.RecordBatch) -> bytes:
    """The rows, as they go between HEADER and END. Raises KeyError for a type that no declaration uses."""
    count = batch.num_columns.to_bytes(2, "big")
    columns = [(column, _fixed(column)) for column in batch.columns]
    values = [fixed for column, fixed in columns if fixed is not None and not column.null_count]
    if len(values) == len(columns):
        pieces = [piece for value in values for piece in (value.width.to_bytes(4, "big"), value)]
        return bytes(_interleaved(batch.num_rows, [count, *pieces]))
    fields = [_field(column, fixed) for column, fixed in columns]
    rows: bytes = _joined([pa.scalar(count, pa.binary()), *fields]).buffers()[2].to_pybytes()
    return rows


def _interleaved(rows: int, pieces: Sequence[bytes | _Values]) -> bytearray:
    """For each row its pieces in order: bytes that all rows share, and the row's values."""
    row = b"".join(piece if isinstance(piece, bytes) else bytes(piece.width) for piece in pieces)
    made = bytearray(row) * rows
    for first in range(0, rows, BLOCK_ROWS):
        last, at = min(first + BLOCK_ROWS, rows), first * len(row)
        end = last * len(row)
        for piece in pieces:
            if isinstance(piece, bytes):
                at += len(piece)
                continue
            values = piece.data[first * piece.width : last * piece.width]
            for byte in range(piece.width):
                made[at : end : len(row)] = values[byte :: piece.width]
                at += 1
    return made


def _field(column: pa.Array, fixed: _Values | None) -> pa.Array:
    """Each value with its length before it, or the NULL marker."""
    if fixed is None:
        lengths = _big_endian(pc.fill_null(pc.binary_length(column), 0), "i")
        field = _joined([_bytes(lengths, len(column)), column.cast(pa.binary())])
    else:
        prefixed = bytes(_interleaved(len(column), [fixed.width.to_bytes(4, "big"), fixed]))
        field = _bytes(_Values(4 + fixed.width, prefixed), len(column))
    # Without NULLs, one copy less.
    return pc.if_else(column.is_null(), pa.scalar(_NULL, pa.binary()), field) if column.null_count else field


def _joined(columns: Sequence[pa.Array | pa.Scalar]) -> pa.Array:
    return pc.binary_join_element_wise(*columns, _NOTHING)


def _bytes(values: _Values, rows: int) -> pa.Array:
    fixed = pa.Array.from_buffers(pa.binary(values.width), rows, [None, pa.py_buffer(values.data)])
    return fixed.cast(pa.binary())


def _fixed(column: pa.Array) -> _Values | None:
    """The values of a type of fixed width; None for text and bytes."""
    if pa.types.is_string(column.type) or column.type == pa.binary():
        return None
    if pa.types.is_fixed_size_binary(column.type):
        return _fixed_bytes(column)
    if pa.types.is_decimal128(column.type):
        return _numeric(column)
    return _SIMPLE[column.type](column)


def _big_endian(column: pa.Array, code: str) -> _Values:
    """Numbers. `code` is the type code of `array`."""
    values = array(code)
    start = column.offset * values.itemsize
    values.frombytes(memoryview(column.buffers()[1])[start : start + len(column) * values.itemsize])
    if sys.byteorder == "little":
        values.byteswap()
    return _Values(values.itemsize, values.tobytes())


def _boolean(column: pa.Array) -> _Values:
    return _big_endian(column.cast(pa.int8()), "b")


def _days(column: pa.Array) -> _Values:
    return _big_endian(pc.subtract(column.view(pa.int32()), pa.scalar(_DAYS, pa.int32())), "i")


def _time_of_day(column: pa.Array) -> _Values:
    return _big_endian(pc.multiply(column.view(pa.int32()).cast(pa.int64()), 1000), "q")


def _timestamp(column: pa.Array) -> _Values:
    return _big_endian(pc.multiply(pc.subtract(column.view(pa.int64()), _MILLISECONDS), 1000), "q")


def _fine_timestamp(column: pa.Array) -> _Values:
    return _big_endian(pc.subtract(column.view(pa.int64()), _MILLISECONDS * 1000), "q")


def _fixed_bytes(column: pa.FixedSizeBinaryArray) -> _Values:
    width = column.type.byte_width
    start = column.offset * width
    return _Values(width, memoryview(column.buffers()[1])[start : start + len(column) * width].tobytes())


_SIMPLE: dict[pa.DataType, Callable[[pa.Array], _Values]] = {
    pa.int32(): lambda column: _big_endian(column, "i"),
    pa.int64(): lambda column: _big_endian(column, "q"),
    pa.bool_(): _boolean,
    pa.date32(): _days,
    pa.time32("ms"): _time_of_day,
    pa.time64("us"): lambda column: _big_endian(column.view(pa.int64()), "q"),
    pa.timestamp("ms"): _timestamp,
    pa.timestamp("us"): _fine_timestamp,
    pa.timestamp("ms", "UTC"): _timestamp,
    pa.timestamp("us", "UTC"): _fine_timestamp,
    pa.float32(): lambda column: _big_endian(column, "f"),
    pa.float64(): lambda column: _big_endian(column, "d"),
}


def wire_form(column: pa.Array, postgres: str) -> pa.Array:
    """A column whose texts Postgres takes in another form, as the bytes of that form."""
    if postgres == "uuid":
        texts = pc.fill_null(pc.replace_substring(column, "-", ""), "0" * 32).to_pylist()
        made = pa.Array.from_buffers(pa.binary(16), len(column), [None, pa.py_buffer(bytes.fromhex("".join(texts)))])
        return pc.if_else(column.is_null(), pa.scalar(None, pa.binary(16)), made)
    if postgres == "jsonb":
        # The version of the format.
        return pc.binary_join_element_wise("\x01", column, "")
    return column


def _numeric(column: pa.Array) -> _Values:
    """The number of digits, the weight of the first, the sign, the decimals; then the digits, with leading zeros."""
    before, after = (
        -(-digits // _BASE_DIGITS) for digits in (column.type.precision - column.type.scale, column.type.scale)
    )
    unscaled = pa.Array.from_buffers(
        pa.decimal128(38, 0), len(column), column.buffers(), column.null_count, column.offset
    )
    shift = after * _BASE_DIGITS - column.type.scale
    small = column.type.precision + shift <= _INT64_DIGITS
    digits = (_digits_of_integer if small else _digits_of_text)(pc.abs(unscaled), before + after, shift)
    negative = pc.less(unscaled, pa.scalar(0, pa.decimal128(38, 0)))
    sign = pc.multiply(negative.cast(pa.int16()), pa.scalar(_SIGN_NEGATIVE, pa.int16()))
    pieces = [
        (before + after).to_bytes(2, "big"),
        (before - 1).to_bytes(2, "big", signed=True),
        _big_endian(sign, "h"),
        column.type.scale.to_bytes(2, "big"),
        *(_big_endian(digit, "h") for digit in digits),
    ]
    return _Values(8 + 2 * (before + after), bytes(_interleaved(len(column), pieces)))


def _digits_of_integer(unscaled: pa.Array, count: int, shift: int) -> list[pa.Array]:
    """The last `count` base-10,000 digits of numbers that fit into 64 bits, multiplied by 10 to the `shift`."""
    rest = pc.multiply(unscaled.cast(pa.int64()), 10**shift)
    digits = []
    for _ in range(count):
        higher = pc.divide(rest, _BASE)
        digits.append(pc.subtract(rest, pc.multiply(higher, _BASE)).cast(pa.int16()))
        rest = higher
    return digits[::-1]


def _digits_of_text(unscaled: pa.Array, count: int, shift: int) -> list[pa.Array]:
    """The same digits for numbers of any size."""
    width = count * _BASE_DIGITS
    text = pc.utf8_rpad(pc.utf8_lpad(unscaled.cast(pa.string()), width - shift, "0"), width, "0")
    starts = range(0, width, _BASE_DIGITS)
    return [pc.utf8_slice_codeunits(text, start, start + _BASE_DIGITS).cast(pa.int16()) for start in starts]

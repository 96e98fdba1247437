"""The reasons for quarantining a row, as expressions over its values as text."""

from collections.abc import Mapping

import polars as pl

from totesys.representable import ROW_BYTES
from totesys.types import ColumnType, Kind

NOT_BUILT = "no row was built from it"
# A reason quotes this much of a longer value.
_QUOTED_CHARACTERS = 100
_NAMES = {
    Kind.INT32: "integer",
    Kind.INT64: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "text",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.TIMESTAMP: "timestamp",
    Kind.INSTANT: "timestamp",
    Kind.DECIMAL: "number",
    Kind.FLOAT32: "number",
    Kind.FLOAT64: "number",
    Kind.BYTES: "sequence of bytes",
}


def is_null(column: str) -> pl.Expr:
    """The column is NULL."""
    return pl.lit(f"{column} is NULL")


def not_valid(column: str, kind: ColumnType, text: pl.Expr) -> pl.Expr:
    """The column's value is not valid for its type."""
    return pl.concat_str(pl.lit(f'{column} is not a valid {_NAMES[kind.kind]}: "'), _beginning(text), pl.lit('"'))


def not_utf8(column: str) -> pl.Expr:
    """The column has bytes that are not UTF-8; its text shows them escaped."""
    return pl.concat_str(pl.lit(f'{column} is not UTF-8: "'), _beginning(pl.col(column)), pl.lit('"'))


def too_long(lengths: Mapping[str, int]) -> str:
    """The row has too many bytes; `lengths` gives those of its texts by column."""
    longest = max(lengths, key=lambda name: lengths[name])
    size = f"{longest} has {lengths[longest]} of its {sum(lengths.values())} bytes"
    return f"the row is too long: {size}, the limit is {ROW_BYTES}"


def _beginning(text: pl.Expr) -> pl.Expr:
    long = text.str.len_chars() > _QUOTED_CHARACTERS
    return pl.when(long).then(pl.concat_str(text.str.head(_QUOTED_CHARACTERS), pl.lit("…"))).otherwise(text)

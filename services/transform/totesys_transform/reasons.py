"""Why a row is quarantined, in words: expressions over the values as text."""

from collections.abc import Mapping

import polars as pl

from totesys.representable import ROW_BYTES
from totesys.types import ColumnType, Kind

NOT_BUILT = "no row was built of it"
# Of a longer value, a reason has the beginning.
_SHOWN = 100
_NAMES = {
    Kind.INT32: "integer",
    Kind.INT64: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "text",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.TIMESTAMP: "timestamp",
    Kind.DECIMAL: "number",
}


def is_null(column: str) -> pl.Expr:
    """The column has no value."""
    return pl.lit(f"{column} is NULL")


def not_valid(column: str, kind: ColumnType, text: pl.Expr) -> pl.Expr:
    """The column has a value, which is not one of the kind."""
    return pl.concat_str(pl.lit(f'{column} is not a valid {_NAMES[kind.kind]}: "'), _beginning(text), pl.lit('"'))


def not_utf8(column: str) -> pl.Expr:
    """The column has bytes that are not UTF-8, which are escaped in its text."""
    return pl.concat_str(pl.lit(f'{column} is not UTF-8: "'), _beginning(pl.col(column)), pl.lit('"'))


def too_long(lengths: Mapping[str, int]) -> str:
    """The row has too many bytes; by column, those of its texts."""
    longest = max(lengths, key=lambda name: lengths[name])
    size = f"{longest} has {lengths[longest]} of its {sum(lengths.values())} bytes"
    return f"the row is too long: {size}, the limit is {ROW_BYTES}"


def _beginning(text: pl.Expr) -> pl.Expr:
    long = text.str.len_chars() > _SHOWN
    return pl.when(long).then(pl.concat_str(text.str.head(_SHOWN), pl.lit("…"))).otherwise(text)

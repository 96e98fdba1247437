"""Which values of Postgres the lake and the warehouse can hold: declared once, for transform and verification."""

from collections.abc import Iterable
from datetime import date

from totesys.encodings import NOT_CHECKED, UTF8, valid_utf8
from totesys.sql import column_list
from totesys.table import Column
from totesys.types import Kind

# Parquet and its readers have the years 1 to 9999. Postgres has more, and infinity.
FIRST_DAY = date(1, 1, 1)
LAST_DAY = date(9999, 12, 31)
# The most bytes of text in a row, which is in memory several times on its way.
ROW_BYTES = 64 * 1024 * 1024

# SQL that is true of a representable value. The kinds that are not listed have only such values.
_TESTS = {
    Kind.DATE: f"{{value}} BETWEEN date '{FIRST_DAY}' AND date '{LAST_DAY}'",
    Kind.TIME: "{value} < time '24:00'",
    Kind.TIMESTAMP: f"{{value}} >= timestamp '{FIRST_DAY}' AND {{value}} < timestamp '{LAST_DAY}' + interval '1 day'",
    Kind.INSTANT: f"{{value}} >= timestamp '{FIRST_DAY}' AND {{value}} < timestamp '{LAST_DAY}' + interval '1 day'",
    Kind.DECIMAL: "{value} <> 'NaN'::numeric",
}


def texts(columns: Iterable[Column]) -> list[str]:
    """The names of the columns that count towards ROW_BYTES: the others are short."""
    return [column.name for column in columns if column.type.kind in (Kind.TEXT, Kind.BYTES)]


def read(column: Column, relation: str = "") -> str:
    """SQL of the column's value as ingest reads it."""
    return column.type.read.format(column_list([column.name], relation))


def unrepresentable(column: Column, relation: str, encoding: str = UTF8) -> str | None:
    """SQL that is true where the relation's column has a value that cannot be held; None if it never has one.

    NULL is not one: the column's declaration says whether it may be NULL. `encoding` is the database's.
    """
    value = read(column, relation)
    if column.type.kind is Kind.TEXT and encoding == NOT_CHECKED:
        return f"coalesce(NOT ({valid_utf8(value)}), false)"
    test = _TESTS.get(column.type.kind)
    if column.type.postgres == "numeric":
        precision, scale = column.type.digits
        test = f"abs({{value}}) < 1e{precision - scale}::numeric AND {{value}} = round({{value}}, {scale})"
    return f"coalesce(NOT ({test.format(value=value)}), false)" if test else None


def too_long(columns: Iterable[Column], relation: str) -> str | None:
    """SQL that is true of a row with more than ROW_BYTES of text; None if the columns have no text.

    Postgres knows the length of a text without reading it.
    """
    columns = [column for column in columns if column.name in texts([column])]
    lengths = [f"coalesce(octet_length({read(column, relation)}::text)::bigint, 0)" for column in columns]
    return f"{' + '.join(lengths)} > {ROW_BYTES}" if lengths else None

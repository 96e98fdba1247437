"""The column types that both databases, CSV and Parquet share."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class ColumnType:
    """A type as Postgres prints it (`format_type`) and as Polars holds it.

    `values` are an enum's labels, in order; empty for every other type.
    """

    postgres: str
    polars: pl.DataType
    values: tuple[str, ...] = ()


INTEGER = ColumnType("integer", pl.Int32())
BIGINT = ColumnType("bigint", pl.Int64())
BOOLEAN = ColumnType("boolean", pl.Boolean())
TEXT = ColumnType("text", pl.String())
DATE = ColumnType("date", pl.Date())
TIME = ColumnType("time(3) without time zone", pl.Time())
TIMESTAMP = ColumnType("timestamp(3) without time zone", pl.Datetime("ms"))


def varchar(length: int) -> ColumnType:
    """Text of at most `length` characters."""
    return ColumnType(f"character varying({length})", pl.String())


def numeric(precision: int, scale: int) -> ColumnType:
    """An exact number of `precision` digits, `scale` of them after the point."""
    return ColumnType(f"numeric({precision},{scale})", pl.Decimal(precision, scale))


def enum(name: str, *values: str) -> ColumnType:
    """A Postgres enum. A label that is not declared still travels: it is text on the way."""
    return ColumnType(f'"{name}"', pl.String(), values)

"""The column types of both databases, CSV and Parquet."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """The kind of a column's values, in any form."""

    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    TIME = "time"  # of day
    TIMESTAMP = "timestamp"  # without a zone
    INSTANT = "instant"  # with a zone: a point in time
    BYTES = "bytes"
    DECIMAL = "decimal"


@dataclass(frozen=True)
class ColumnType:
    """A type as Postgres prints it (`format_type`), and the kind of its values.

    `digits` are the precision and the scale of a decimal. `values` are the labels of an enum, in order. `fraction` is
    the number of decimals of a time's seconds. `read` is SQL that reads a column `{}` of the type, where COPY's text of
    it is not the one to read. A type that is `source_only` has no column in the warehouse.
    """

    postgres: str
    kind: Kind
    digits: tuple[int, int] = (0, 0)
    values: tuple[str, ...] = ()
    fraction: int = 3
    read: str = "{}"
    source_only: bool = False

    @property
    def unit(self) -> Literal["ms", "us"]:
        """The unit of times in CSV, Parquet and frames."""
        return "ms" if self.fraction <= 3 else "us"

    @property
    def is_text(self) -> bool:
        """Whether a column of this type holds any text."""
        return self.kind is Kind.TEXT and self.postgres not in ("uuid", "jsonb")

    @property
    def is_integer(self) -> bool:
        return self.kind in (Kind.INT32, Kind.INT64)

    @property
    def can_be_key(self) -> bool:
        """Whether equal values have one text, the same in Postgres, CSV and Parquet."""
        return self.is_integer or self.kind is Kind.DATE or (self.kind is Kind.TEXT and self.postgres != "jsonb")


INTEGER = ColumnType("integer", Kind.INT32)
BIGINT = ColumnType("bigint", Kind.INT64)
BOOLEAN = ColumnType("boolean", Kind.BOOLEAN)
TEXT = ColumnType("text", Kind.TEXT)
DATE = ColumnType("date", Kind.DATE)
REAL = ColumnType("real", Kind.FLOAT32)
DOUBLE = ColumnType("double precision", Kind.FLOAT64)
BYTEA = ColumnType("bytea", Kind.BYTES, read="encode({}, 'hex')")
# Their values are text in the lake.
UUID = ColumnType("uuid", Kind.TEXT)
JSONB = ColumnType("jsonb", Kind.TEXT)
# Read as a number. Its warehouse column is numeric(19, 2).
MONEY = ColumnType("money", Kind.DECIMAL, (19, 2), read="{}::numeric(19,2)", source_only=True)
TIME = ColumnType("time(3) without time zone", Kind.TIME)
TIMESTAMP = ColumnType("timestamp(3) without time zone", Kind.TIMESTAMP)


def varchar(length: int) -> ColumnType:
    """Text of at most `length` characters."""
    return ColumnType(f"character varying({length})", Kind.TEXT)


def numeric(precision: int, scale: int) -> ColumnType:
    """An exact number with `precision` digits, `scale` of them after the point."""
    return ColumnType(f"numeric({precision},{scale})", Kind.DECIMAL, (precision, scale))


def enum(name: str, *values: str) -> ColumnType:
    """A Postgres enum. Undeclared labels are carried along: the values are text on their way."""
    return ColumnType(f'"{name}"', Kind.TEXT, values=values)


def char(length: int) -> ColumnType:
    """Text padded to `length` characters, read without the padding, which does not count in comparisons."""
    return ColumnType(f"character({length})", Kind.TEXT, read="{}::text")


def unconstrained_numeric(precision: int = 38, scale: int = 9) -> ColumnType:
    """`numeric` without a precision. Values that do not fit into these digits exactly are quarantined."""
    return ColumnType("numeric", Kind.DECIMAL, (precision, scale))


def time(precision: int | None = None) -> ColumnType:
    """A time of day, in seconds with so many decimals; all six by default."""
    return _with_fraction("time", "without time zone", Kind.TIME, precision)


def timestamp(precision: int | None = None) -> ColumnType:
    """A date and a time of day, in seconds with so many decimals; all six by default."""
    return _with_fraction("timestamp", "without time zone", Kind.TIMESTAMP, precision)


def timestamptz(precision: int | None = None) -> ColumnType:
    """A point in time, in seconds with so many decimals; all six by default. Frames and the lake have it in UTC."""
    return _with_fraction("timestamp", "with time zone", Kind.INSTANT, precision)


def _with_fraction(base: str, zone: str, kind: Kind, precision: int | None) -> ColumnType:
    name = base if precision is None else f"{base}({precision})"
    read = "({} AT TIME ZONE 'UTC')" if kind is Kind.INSTANT else "{}"
    return ColumnType(f"{name} {zone}", kind, fraction=6 if precision is None else precision, read=read)


def as_text(postgres: str) -> ColumnType:
    """A source column of any type, as `format_type` prints it, read as its text: `as_text("interval")`."""
    return ColumnType(postgres, Kind.TEXT, read="{}::text", source_only=True)

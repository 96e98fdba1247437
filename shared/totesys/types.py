"""The column types of both databases, CSV and Parquet."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a column's values, in any form."""

    INT32 = "int32"
    INT64 = "int64"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    TIME = "time"  # of day, in milliseconds
    TIMESTAMP = "timestamp"  # without a zone, in milliseconds
    DECIMAL = "decimal"


@dataclass(frozen=True)
class ColumnType:
    """A type as Postgres prints it (`format_type`), and the kind of its values.

    `digits` are the precision and the scale of a decimal. `values` are the labels of an enum, in order.
    """

    postgres: str
    kind: Kind
    digits: tuple[int, int] = (0, 0)
    values: tuple[str, ...] = ()

    @property
    def is_integer(self) -> bool:
        return self.kind in (Kind.INT32, Kind.INT64)

    @property
    def can_be_key(self) -> bool:
        """Whether equal values have one text, the same in Postgres, CSV and Parquet."""
        return self.is_integer or self.kind in (Kind.TEXT, Kind.DATE)


INTEGER = ColumnType("integer", Kind.INT32)
BIGINT = ColumnType("bigint", Kind.INT64)
BOOLEAN = ColumnType("boolean", Kind.BOOLEAN)
TEXT = ColumnType("text", Kind.TEXT)
DATE = ColumnType("date", Kind.DATE)
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

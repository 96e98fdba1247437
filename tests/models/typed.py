"""A company whose tables hold every type of Postgres that can be declared, read as it is or as text."""

from dataclasses import dataclass

import polars as pl

from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, Fact, SourceTable
from totesys.types import (
    BYTEA,
    DOUBLE,
    INTEGER,
    JSONB,
    MONEY,
    REAL,
    TEXT,
    UUID,
    ColumnType,
    as_text,
    char,
    enum,
    numeric,
    time,
    timestamp,
    timestamptz,
    unconstrained_numeric,
)


@dataclass(frozen=True)
class TypeCase:
    """A type: its column in the source and the warehouse, the type in the source's DDL, and values as SQL literals.

    `refused` are values that cannot be held, and are quarantined.
    """

    source: ColumnType
    warehouse: ColumnType
    values: tuple[str, ...]
    refused: tuple[str, ...] = ()
    ddl: str = ""

    @property
    def ddl_type(self) -> str:
        """The type in the source."""
        return self.ddl or self.source.postgres


_TIMESTAMPS = (
    "'0001-01-01'",
    "'9999-12-31 23:59:59.999999'",
    "'2026-03-29 01:59:59.123456'",
    "'1969-12-31 23:59:59.5'",
)
_NEVER = ("'infinity'", "'-infinity'", "'10000-01-01'", "'0001-01-01 BC'")


def _texts(postgres: str, *values: str, ddl: str = "") -> TypeCase:
    return TypeCase(as_text(postgres), TEXT, values, ddl=ddl)


CASES = {
    "instant": TypeCase(timestamptz(), timestamptz(), (*_TIMESTAMPS, "'2026-03-29 02:30:00+02'"), _NEVER),
    "instant_ms": TypeCase(timestamptz(3), timestamptz(3), ("'2026-03-29 01:59:59.123'", "'0001-01-01'"), _NEVER),
    "moment": TypeCase(timestamp(), timestamp(), _TIMESTAMPS, _NEVER),
    "second": TypeCase(timestamp(0), timestamp(0), ("'0001-01-01'", "'9999-12-31 23:59:59'"), _NEVER),
    "clock": TypeCase(time(), time(), ("'00:00'", "'23:59:59.999999'", "'12:00:00.000001'"), ("'24:00'",)),
    "clock_4": TypeCase(time(4), time(4), ("'00:00'", "'23:59:59.9999'"), ("'24:00'",)),
    "single": TypeCase(REAL, REAL, ("0", "-0", "1e-45", "3.4028235e38", "0.1", "'NaN'", "'Infinity'", "'-Infinity'")),
    "double": TypeCase(
        DOUBLE, DOUBLE, ("0", "5e-324", "1.7976931348623157e308", "0.1", "1e21", "'NaN'", "'Infinity'", "'-Infinity'")
    ),
    "number": TypeCase(
        unconstrained_numeric(),
        unconstrained_numeric(),
        ("0", "1.50", "-0.000000001", "99999999999999999999999999999.999999999", "1.5000000000000"),
        ("'NaN'", "1e29", "0.0000000001", "1e100"),
    ),
    "cash": TypeCase(
        MONEY,
        numeric(19, 2),
        ("'0'", "'-92233720368547758.08'::numeric::money", "'92233720368547758.07'::numeric::money", "'1234.5'"),
    ),
    "code": TypeCase(char(3), char(3), ("'a'", "'abc'", "''", "'é'", "' b'")),
    "short": TypeCase(char(3), TEXT, ("'a'", "'abc'", "''")),
    "uid": TypeCase(UUID, UUID, ("'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'")),
    "id_text": TypeCase(UUID, TEXT, ("'00000000-0000-0000-0000-000000000001'",)),
    "document": TypeCase(
        JSONB,
        JSONB,
        ("'null'", "'{}'", """'{"a": [1, "x,\\n\\"y", 1e400], "é": null}'""", "'\"\"'", "'12345678901234567890'"),
    ),
    "json_text": _texts("json", '\'{"a":  1, "a": 2}\'', "'\"\\u0000\"'"),
    "bytes": TypeCase(BYTEA, BYTEA, ("''", "'\\x00ff'", "'\\x" + 1000 * "ab" + "'")),
    "span": _texts("interval", "'1 year 2 days -03:04:05.678901'", "'0'", "'178000000 years'"),
    "numbers": _texts("integer[]", "'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'"),
    "words": _texts("text[]", """'{"a,b",NULL,"NULL","","\\"x\\\\"}'"""),
    "address": _texts("inet", "'::1/64'", "'192.168.0.1'"),
    "vector": _texts("tsvector", "'a:1 fat:2A'", "''"),
    "range": _texts("int8range", "'[1,9223372036854775807)'", "'empty'"),
    "spot": _texts("point", "'(1,2.5)'"),
    "bits": _texts("bit varying(8)", "'101'", "''"),
    "mood": TypeCase(enum("mood", "fine", "so so"), TEXT, ("'fine'", "'so so'"), ddl="mood"),
    "rating": TypeCase(INTEGER, INTEGER, ("1", "5"), ddl="rating"),
    "label": TypeCase(TEXT, TEXT, ("''", "'Unknown'", "E'a\\nb\"c,'"), ddl="label"),
    "marked": TypeCase(enum("mood", "fine", "so so"), TEXT, ("'fine'",), ddl="good_mood"),
}
_COLUMNS = ", ".join(f"{name} {case.ddl_type}" for name, case in CASES.items())
SETUP = (
    "CREATE TYPE mood AS ENUM ('fine', 'so so')",
    "CREATE DOMAIN small AS integer CHECK (VALUE < 10)",
    "CREATE DOMAIN rating AS small CHECK (VALUE > 0)",
    "CREATE DOMAIN label AS text",
    "CREATE DOMAIN good_mood AS mood CHECK (VALUE = 'fine')",
    *(f"CREATE TABLE {name} (id integer PRIMARY KEY, {_COLUMNS})" for name in ("thing", "event")),
)

_SOURCE = tuple(Column(name, case.source, nullable=True) for name, case in CASES.items())
_WAREHOUSE = tuple(Column(name, case.warehouse, nullable=True) for name, case in CASES.items())
_QUERY = ", ".join(
    f"{name}::text AS {name}" if case.source.read == "{}::text" or case.source.values else
    f"{case.source.read.format(name)} AS {name}" if case.source is MONEY else name
    for name, case in CASES.items()
)  # fmt: skip


def as_it_is(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


MODEL = Model(
    "typed",
    sources=(
        SourceTable("thing", key="id", columns=(Column("id", INTEGER), *_SOURCE)),
        SourceTable("event", key="id", columns=(Column("id", INTEGER), *_SOURCE), capture=Capture.INCREMENTAL),
    ),
    tables=(
        Dimension(
            "dim_thing",
            key="id",
            columns=(Column("id", INTEGER), *_WAREHOUSE),
            sources=("thing",),
            build=as_it_is,
            reference_query=f"SELECT id, {_QUERY} FROM thing",
        ),
        Fact(
            "fact_event",
            star="events",
            record_id="event_record_id",
            key="id",
            columns=(Column("id", INTEGER, references="dim_thing"), *_WAREHOUSE),
            sources=("event",),
            build=as_it_is,
            reference_query=f"SELECT id, {_QUERY} FROM event",
        ),
    ),
)

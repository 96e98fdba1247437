"""How each engine writes what the views need. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def _double_quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _backquoted(name: str) -> str:
    return "`{}`".format(name.replace("`", "``"))


def _upper_case(name: str) -> str:
    """Snowflake stores unquoted names in upper case, the columns of an external Iceberg table too."""
    return name if _PLAIN.fullmatch(name) else _double_quoted(name)


def _not_distinct(left: str, right: str) -> str:
    return f"{left} IS NOT DISTINCT FROM {right}"


def _both_null_or_equal(left: str, right: str) -> str:
    return f"CASE WHEN {left} = {right} THEN true WHEN {left} IS NULL AND {right} IS NULL THEN true ELSE false END"


@dataclass(frozen=True)
class Dialect:
    """An engine's SQL.

    `ago` is a template: the query's start minus `{seconds}`, in UTC without a zone, as the tables hold timestamps.
    `view_end` follows a view's query.
    """

    name: str
    ago: str
    identifier: Callable[[str], str] = _double_quoted
    same: Callable[[str, str], str] = _not_distinct
    schema: str = "CREATE SCHEMA IF NOT EXISTS {name}"
    view_end: str = ""
    create_table: str = "CREATE TABLE {name} AS"
    timestamp: str = "TIMESTAMP '{value}'"
    text: str = "VARCHAR"

    def qualified(self, schema: str, name: str) -> str:
        """A relation's name with its schema."""
        return f"{self.identifier(schema)}.{self.identifier(name)}"

    def literal(self, moment: datetime) -> str:
        """A timestamp, which is UTC without a zone."""
        return self.timestamp.format(value=moment.isoformat(sep=" ", timespec="microseconds"))


_TRINO = "CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp(6)) - INTERVAL '{seconds}' SECOND"

ATHENA = Dialect("athena", _TRINO)
TRINO = Dialect("trino", _TRINO)
SPARK = Dialect(
    "spark",
    "CAST(to_utc_timestamp(current_timestamp(), current_timezone()) AS timestamp_ntz) - INTERVAL {seconds} SECONDS",
    identifier=_backquoted,
    create_table="CREATE OR REPLACE TABLE {name} USING iceberg AS",
    timestamp="TIMESTAMP_NTZ '{value}'",
    text="STRING",
)
REDSHIFT = Dialect(
    "redshift",
    "DATEADD(second, -{seconds}, GETDATE())",
    same=_both_null_or_equal,
    text="VARCHAR(65535)",
    view_end=" WITH NO SCHEMA BINDING",
)
SNOWFLAKE = Dialect(
    "snowflake",
    "DATEADD(second, -{seconds}, CAST(CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP()) AS timestamp_ntz))",
    identifier=_upper_case,
    create_table="CREATE OR REPLACE TABLE {name} AS",
    timestamp="CAST('{value}' AS timestamp_ntz)",
)
DUCKDB = Dialect(
    "duckdb",
    "make_timestamp(epoch_us(now())) - INTERVAL {seconds} SECOND",
    create_table="CREATE OR REPLACE TABLE {name} AS",
)
# The engine of `totesys verify --lakehouse`, which reads the tables into a Postgres database.
POSTGRES = Dialect("postgres", "(now() AT TIME ZONE 'UTC') - INTERVAL '{seconds} seconds'")

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect for dialect in (ATHENA, TRINO, SPARK, REDSHIFT, SNOWFLAKE, DUCKDB, POSTGRES)
}

"""Columns and expressions shared by several warehouse tables: in Polars and, for reference queries, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from totesys.table import Column, SourceTable
from totesys.types import DATE, INTEGER, TIME

if TYPE_CHECKING:
    import polars as pl

AGREED_DELIVERY_DATE = Column("agreed_delivery_date", DATE, references="dim_date", description="Agreed day of delivery")
AGREED_PAYMENT_DATE = Column("agreed_payment_date", DATE, references="dim_date", description="Agreed day of payment")
AGREED_DELIVERY_LOCATION = Column(
    "agreed_delivery_location_id", INTEGER, references="dim_location", description="Agreed delivery address"
)

TIMESTAMPS_QUERY = """
    created_at::date AS created_date, created_at::time(3) AS created_time,
    last_updated::date AS last_updated_date, last_updated::time(3) AS last_updated_time"""


def timestamp_columns(source: SourceTable, what: str) -> tuple[Column, ...]:
    """The columns that `split_timestamps` makes from `source`, whose row is `what`."""
    created, updated = f"{source.name}.created_at", f"{source.name}.last_updated"
    time = "Time of day, to the millisecond, by the clock of totesys"
    return (
        Column("created_date", DATE, references="dim_date", description=f"Day the {what} was created", source=created),
        Column("created_time", TIME, description=time, source=created),
        Column(
            "last_updated_date",
            DATE,
            references="dim_date",
            description=f"Day the {what} was last updated, as recorded in totesys",
            source=updated,
        ),
        Column("last_updated_time", TIME, description=time, source=updated),
    )


def split_timestamps() -> Sequence[pl.Expr]:
    """The source's two timestamps, each as a date and a time of day in milliseconds."""
    import polars as pl

    return [
        part
        for source, name in (("created_at", "created"), ("last_updated", "last_updated"))
        for part in (pl.col(source).dt.date().alias(f"{name}_date"), pl.col(source).dt.time().alias(f"{name}_time"))
    ]


def iso_date(name: str) -> pl.Expr:
    """The text column `name` as a date; NULL unless it is exactly yyyy-mm-dd and a day of the calendar."""
    import polars as pl

    text = pl.col(name)
    day = text.str.to_date("%Y-%m-%d", strict=False)
    return pl.when(text.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & (day.dt.year() > 0)).then(day).alias(name)


def iso_date_query(name: str) -> str:
    """The same rule in SQL. Postgres 15 cannot test whether a cast would fail, so the days are counted.

    Every month has 28 days, so most texts need only one test.
    """
    text = f"{name}::text"
    month = "(0[1-9]|1[0-2])"
    first = f"(substr({text}, 1, 8) || '01')::date"
    return f"""
    CASE WHEN {text} ~ '^[1-9][0-9]{{3}}-{month}-(0[1-9]|1[0-9]|2[0-8])$' THEN {text}::date
         WHEN {text} ~ '^[0-9]{{4}}-{month}-(0[1-9]|[12][0-9]|3[01])$' AND {text} !~ '^0000' THEN
        CASE WHEN substr({text}, 9)::int <= extract(day FROM {first} + interval '1 month - 1 day')
             THEN {text}::date END
    END AS {name}"""

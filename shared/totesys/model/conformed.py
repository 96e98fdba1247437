"""The dimensions that more than one star uses."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from iso4217 import Currency

from totesys.model.source import ADDRESS, COUNTERPARTY, CURRENCY, DEPARTMENT, STAFF
from totesys.table import Column, Dimension
from totesys.types import DATE, INTEGER, TEXT, varchar

if TYPE_CHECKING:
    import polars as pl

FIRST_DAY = date(2020, 1, 1)
CURRENCY_NAMES = {currency.code: currency.currency_name for currency in Currency}
ADDRESS_PARTS = (
    Column("address_line_1", TEXT),
    Column("address_line_2", TEXT, nullable=True),
    Column("district", TEXT, nullable=True),
    Column("city", TEXT),
    Column("postal_code", TEXT),
    Column("country", TEXT),
)
LEGAL = "counterparty_legal"


def build_dim_date(referenced: pl.Series, as_of: date) -> pl.LazyFrame:
    """Every day from 2020 to the end of the year after `as_of`, and every other day that is referred to."""
    import polars as pl

    calendar = pl.date_range(FIRST_DAY, date(as_of.year + 1, 12, 31), eager=True).alias("date_id")
    days = pl.LazyFrame([pl.concat([calendar, referenced.cast(pl.Date).alias("date_id")]).unique().sort()])
    day = pl.col("date_id").dt
    return days.with_columns(
        year=day.year(),
        month=day.month(),
        day=day.day(),
        day_of_week=day.weekday(),
        day_name=day.to_string("%A"),
        month_name=day.to_string("%B"),
        quarter=day.quarter(),
    )


DIM_DATE = Dimension(
    "dim_date",
    key="date_id",
    columns=(
        Column("date_id", DATE),
        Column("year", INTEGER),
        Column("month", INTEGER),
        Column("day", INTEGER),
        Column("day_of_week", INTEGER),
        Column("day_name", TEXT),
        Column("month_name", TEXT),
        Column("quarter", INTEGER),
    ),
    build_from_references=build_dim_date,
    oracle=f"""
    SELECT day AS date_id, extract(year FROM day)::int AS year, extract(month FROM day)::int AS month,
           extract(day FROM day)::int AS day, extract(isodow FROM day)::int AS day_of_week,
           to_char(day, 'FMDay') AS day_name, to_char(day, 'FMMonth') AS month_name,
           extract(quarter FROM day)::int AS quarter
    FROM (SELECT generate_series(date '{FIRST_DAY}', make_date(extract(year FROM now())::int + 1, 12, 31),
                                 interval '1 day')::date
          UNION SELECT key FROM referenced) AS days (day)""",
)


def build_dim_staff(staff: pl.LazyFrame, department: pl.LazyFrame) -> pl.LazyFrame:
    return staff.join(department, on="department_id")


DIM_STAFF = Dimension(
    "dim_staff",
    key="staff_id",
    columns=(
        Column("staff_id", INTEGER),
        Column("first_name", TEXT),
        Column("last_name", TEXT),
        Column("department_name", TEXT),
        Column("location", TEXT),
        Column("email_address", TEXT),
    ),
    sources=(STAFF.name, DEPARTMENT.name),
    build=build_dim_staff,
    oracle="""
    SELECT staff_id, first_name, last_name, department_name, coalesce(location::text, 'Unknown') AS location,
           email_address
    FROM staff JOIN department USING (department_id)""",
)


def build_dim_location(address: pl.LazyFrame) -> pl.LazyFrame:
    return address.rename({"address_id": "location_id"})


DIM_LOCATION = Dimension(
    "dim_location",
    key="location_id",
    columns=(Column("location_id", INTEGER), *ADDRESS_PARTS, Column("phone", TEXT)),
    sources=(ADDRESS.name,),
    build=build_dim_location,
    oracle="""
    SELECT address_id AS location_id, address_line_1, address_line_2, district, city, postal_code, country, phone
    FROM address""",
)


def build_dim_currency(currency: pl.LazyFrame) -> pl.LazyFrame:
    import polars as pl

    names = pl.col("currency_code").replace_strict(CURRENCY_NAMES, default=None, return_dtype=pl.String)
    return currency.with_columns(currency_name=names)


# The names are the library's on both sides; what the oracle checks is that each code has its own.
_names = ", ".join(f"('{code}', '{name.replace(chr(39), chr(39) * 2)}')" for code, name in CURRENCY_NAMES.items())

DIM_CURRENCY = Dimension(
    "dim_currency",
    key="currency_id",
    columns=(
        Column("currency_id", INTEGER),
        Column("currency_code", varchar(3)),
        Column("currency_name", TEXT),
    ),
    sources=(CURRENCY.name,),
    build=build_dim_currency,
    oracle=f"""
    SELECT currency_id, currency_code, coalesce(iso.name, 'Unknown') AS currency_name
    FROM currency LEFT JOIN (VALUES {_names}) AS iso (code, name) ON iso.code = currency_code""",
)


def build_dim_counterparty(counterparty: pl.LazyFrame, address: pl.LazyFrame) -> pl.LazyFrame:
    legal = {column.name: f"{LEGAL}_{column.name}" for column in ADDRESS_PARTS}
    return counterparty.join(
        address.select("address_id", "phone", *legal).rename({**legal, "phone": f"{LEGAL}_phone_number"}),
        left_on="legal_address_id",
        right_on="address_id",
    )


DIM_COUNTERPARTY = Dimension(
    "dim_counterparty",
    key="counterparty_id",
    columns=(
        Column("counterparty_id", INTEGER),
        Column(f"{LEGAL}_name", TEXT),
        *(Column(f"{LEGAL}_{column.name}", TEXT, column.nullable) for column in ADDRESS_PARTS),
        Column(f"{LEGAL}_phone_number", TEXT),
    ),
    sources=(COUNTERPARTY.name, ADDRESS.name),
    build=build_dim_counterparty,
    oracle=f"""
    SELECT counterparty_id, counterparty_legal_name, address_line_1 AS {LEGAL}_address_line_1,
           address_line_2 AS {LEGAL}_address_line_2, district AS {LEGAL}_district, city AS {LEGAL}_city,
           postal_code AS {LEGAL}_postal_code, country AS {LEGAL}_country, phone AS {LEGAL}_phone_number
    FROM counterparty JOIN address ON address_id = legal_address_id""",
)

TABLES = (DIM_DATE, DIM_STAFF, DIM_LOCATION, DIM_CURRENCY, DIM_COUNTERPARTY)

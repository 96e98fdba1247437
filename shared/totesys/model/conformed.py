"""The dimensions that several stars use."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from iso4217 import Currency

from totesys.model.source_tables import ADDRESS, COUNTERPARTY, CURRENCY, DEPARTMENT, STAFF
from totesys.table import Column, Dimension
from totesys.types import DATE, INTEGER, TEXT, varchar

if TYPE_CHECKING:
    import polars as pl

FIRST_DAY = date(2020, 1, 1)
CURRENCY_NAMES = {currency.code: currency.currency_name for currency in Currency}
ADDRESS_PARTS = (
    Column("address_line_1", TEXT, description="First line of the address"),
    Column("address_line_2", TEXT, nullable=True, description="Second line of the address"),
    Column("district", TEXT, nullable=True, description="District of the address"),
    Column("city", TEXT, description="City of the address"),
    Column("postal_code", TEXT, description="Postal code of the address"),
    Column("country", TEXT, description="Country of the address"),
)
LEGAL = "counterparty_legal"


def build_dim_date(referenced: pl.Series, as_of: date) -> pl.LazyFrame:
    """Every day from 2020 to the end of the year after `as_of`, and every other day that facts refer to."""
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
    description=f"A day: every day from {FIRST_DAY} to the end of next year, and every other day that a fact refers to",
    key="date_id",
    columns=(
        Column("date_id", DATE, description="Day"),
        Column("year", INTEGER, description="Year"),
        Column("month", INTEGER, description="Month of the year, 1 to 12"),
        Column("day", INTEGER, description="Day of the month, 1 to 31"),
        Column("day_of_week", INTEGER, description="Day of the week, 1 (Monday) to 7 (Sunday)"),
        Column("day_name", TEXT, description="English name of the day of the week"),
        Column("month_name", TEXT, description="English name of the month"),
        Column("quarter", INTEGER, description="Quarter of the calendar year, 1 to 4"),
    ),
    build_from_references=build_dim_date,
    reference_query=f"""
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
    description="A member of staff and their department",
    key="staff_id",
    columns=(
        Column("staff_id", INTEGER, description="Member of staff"),
        Column("first_name", TEXT, description="First name"),
        Column("last_name", TEXT, description="Last name"),
        Column("department_name", TEXT, description="Name of the department"),
        Column("location", TEXT, description="Location of the department; Unknown if the source has none"),
        Column("email_address", TEXT, description="E-mail address"),
    ),
    sources=(STAFF.name, DEPARTMENT.name),
    build=build_dim_staff,
    reference_query="""
    SELECT staff_id, first_name, last_name, department_name, coalesce(location::text, 'Unknown') AS location,
           email_address
    FROM staff JOIN department USING (department_id)""",
)


def build_dim_location(address: pl.LazyFrame) -> pl.LazyFrame:
    return address.rename({"address_id": "location_id"})


DIM_LOCATION = Dimension(
    "dim_location",
    description="An address, for example of a delivery",
    key="location_id",
    columns=(
        Column("location_id", INTEGER, description="Address", source="address.address_id"),
        *ADDRESS_PARTS,
        Column("phone", TEXT, description="Phone number of the address"),
    ),
    sources=(ADDRESS.name,),
    build=build_dim_location,
    reference_query="""
    SELECT address_id AS location_id, address_line_1, address_line_2, district, city, postal_code, country, phone
    FROM address""",
)


def build_dim_currency(currency: pl.LazyFrame) -> pl.LazyFrame:
    import polars as pl

    names = pl.col("currency_code").replace_strict(CURRENCY_NAMES, default=None, return_dtype=pl.String)
    return currency.with_columns(currency_name=names)


# Both sides use the library's names: the reference query checks that each code has its own name.
_names = ", ".join(f"('{code}', '{name.replace(chr(39), chr(39) * 2)}')" for code, name in CURRENCY_NAMES.items())

DIM_CURRENCY = Dimension(
    "dim_currency",
    description="A currency",
    key="currency_id",
    columns=(
        Column("currency_id", INTEGER, description="Currency"),
        Column("currency_code", varchar(3), description="ISO 4217 code of the currency, such as GBP"),
        Column(
            "currency_name",
            TEXT,
            description="English name of the currency in ISO 4217; Unknown if there is none",
            source="currency.currency_code",
        ),
    ),
    sources=(CURRENCY.name,),
    build=build_dim_currency,
    reference_query=f"""
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
    description="A company that totesys sells to or buys from, with its legal address",
    key="counterparty_id",
    columns=(
        Column("counterparty_id", INTEGER, description="Counterparty"),
        Column(f"{LEGAL}_name", TEXT, description="Legal name"),
        *(
            replace(
                column,
                name=f"{LEGAL}_{column.name}",
                description=column.description.replace("the address", "the legal address"),
                source=f"{ADDRESS.name}.{column.name}",
            )
            for column in ADDRESS_PARTS
        ),
        Column(
            f"{LEGAL}_phone_number",
            TEXT,
            description="Phone number of the legal address",
            source=f"{ADDRESS.name}.phone",
        ),
    ),
    sources=(COUNTERPARTY.name, ADDRESS.name),
    build=build_dim_counterparty,
    reference_query=f"""
    SELECT counterparty_id, counterparty_legal_name, address_line_1 AS {LEGAL}_address_line_1,
           address_line_2 AS {LEGAL}_address_line_2, district AS {LEGAL}_district, city AS {LEGAL}_city,
           postal_code AS {LEGAL}_postal_code, country AS {LEGAL}_country, phone AS {LEGAL}_phone_number
    FROM counterparty JOIN address ON address_id = legal_address_id""",
)

TABLES = (DIM_DATE, DIM_STAFF, DIM_LOCATION, DIM_CURRENCY, DIM_COUNTERPARTY)

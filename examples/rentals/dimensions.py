"""The dimensions of the rental shops: what both stars refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.table import Column, Dimension
from totesys.types import BOOLEAN, DATE, INTEGER, TEXT, varchar

from .source_tables import ADDRESS, CATEGORY, CUSTOMER, FILM, FILM_CATEGORY, INVENTORY, LANGUAGE, RATE, STORE

if TYPE_CHECKING:
    from datetime import date

    import polars as pl


def build_dim_copy(
    inventory: pl.LazyFrame,
    film: pl.LazyFrame,
    language: pl.LazyFrame,
    film_category: pl.LazyFrame,
    category: pl.LazyFrame,
    store: pl.LazyFrame,
) -> pl.LazyFrame:
    categories = film_category.join(category, on="category_id").select("film_id", "category_name")
    films = film.join(language, on="language_id").join(categories, on="film_id", how="left")
    return inventory.rename({"inventory_id": "copy_id"}).join(films, on="film_id").join(store, on="store_id")


DIM_COPY = Dimension(
    "dim_copy",
    description="A copy of a film in a store",
    key="copy_id",
    columns=(
        Column("copy_id", INTEGER, description="Copy", source="inventory.inventory_id"),
        Column("film_id", INTEGER, description="Film; the same for all its copies"),
        Column("title", TEXT, description="Title of the film"),
        Column("language_name", TEXT, description="Language that is spoken"),
        Column("category_name", TEXT, description="Category of the film; Unknown if it has none"),
        Column("rating", TEXT, description="Audience of the film: ALL, TEENS or ADULTS"),
        Column("minutes", INTEGER, nullable=True, description="Running time, if known"),
        Column("daily_rate", RATE, description="Price of a day"),
        Column("store_name", TEXT, description="Store that owns the copy"),
    ),
    sources=(INVENTORY.name, FILM.name, LANGUAGE.name, FILM_CATEGORY.name, CATEGORY.name, STORE.name),
    build=build_dim_copy,
    reference_query="""
    SELECT inventory_id AS copy_id, film_id, title, language_name, coalesce(category_name, 'Unknown') AS category_name,
           rating::text AS rating, minutes::int AS minutes, daily_rate, store_name
    FROM inventory JOIN film USING (film_id) JOIN language USING (language_id) JOIN store USING (store_id)
    LEFT JOIN film_category USING (film_id) LEFT JOIN category USING (category_id)""",
)


def build_dim_customer(customer: pl.LazyFrame, address: pl.LazyFrame) -> pl.LazyFrame:
    return customer.join(address, on="address_id")


DIM_CUSTOMER = Dimension(
    "dim_customer",
    description="A customer, where they live now",
    key="customer_id",
    columns=(
        Column("customer_id", INTEGER, description="Customer"),
        Column("first_name", TEXT, description="First name"),
        Column("last_name", TEXT, description="Last name"),
        Column("email", TEXT, nullable=True, description="E-mail address, if given"),
        Column("street", TEXT, description="Street and number"),
        Column("district", TEXT, nullable=True, description="District, if the address has one"),
        Column("city", varchar(50), description="City"),
        Column("country", varchar(50), description="Country"),
        Column("active", BOOLEAN, description="Whether the customer may rent"),
        Column("joined_on", DATE, description="Day the customer joined"),
    ),
    sources=(CUSTOMER.name, ADDRESS.name),
    build=build_dim_customer,
    reference_query="""
    SELECT customer_id, first_name, last_name, email, street, district, city, country, active, joined_on
    FROM customer JOIN address USING (address_id)""",
)


def build_dim_date(referenced: pl.Series, as_of: date) -> pl.LazyFrame:
    """The days that facts refer to."""
    import polars as pl

    day = pl.col("date_id").dt
    return pl.LazyFrame([referenced.cast(pl.Date).alias("date_id")]).with_columns(
        year=day.year(), month=day.month(), day_of_week=day.weekday()
    )


DIM_DATE = Dimension(
    "dim_date",
    description="A day that a fact refers to",
    key="date_id",
    columns=(
        Column("date_id", DATE, description="Day"),
        Column("year", INTEGER, description="Year"),
        Column("month", INTEGER, description="Month of the year, 1 to 12"),
        Column("day_of_week", INTEGER, description="Day of the week, 1 (Monday) to 7 (Sunday)"),
    ),
    build_from_references=build_dim_date,
    reference_query="""
    SELECT key AS date_id, extract(year FROM key)::int AS year, extract(month FROM key)::int AS month,
           extract(isodow FROM key)::int AS day_of_week
    FROM referenced""",
)

TABLES = (DIM_COPY, DIM_CUSTOMER, DIM_DATE)

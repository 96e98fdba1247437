"""The source tables of the rental shops, as ingest reads them. `schema.sql` creates them."""

from totesys.table import Capture, Column, SourceTable
from totesys.types import BIGINT, BOOLEAN, DATE, INTEGER, TEXT, TIMESTAMP, enum, numeric, varchar

RATING = enum("FilmRating", "ALL", "TEENS", "ADULTS")
RATE = numeric(5, 2)
AMOUNT = numeric(7, 2)

LANGUAGE = SourceTable(
    "language",
    key="language_id",
    columns=(Column("language_id", INTEGER), Column("language_name", TEXT)),
)
CATEGORY = SourceTable(
    "category",
    key="category_id",
    columns=(Column("category_id", INTEGER), Column("category_name", TEXT)),
)
FILM = SourceTable(
    "film",
    key="film_id",
    columns=(
        Column("film_id", INTEGER),
        Column("title", TEXT),
        Column("language_id", INTEGER, references="language"),
        Column("rating", RATING),
        # smallint in the source: every value fits.
        Column("minutes", INTEGER, nullable=True),
        Column("daily_rate", RATE),
    ),
)
FILM_CATEGORY = SourceTable(
    "film_category",
    key="film_id",
    columns=(
        Column("film_id", INTEGER, references="film"),
        Column("category_id", INTEGER, references="category"),
    ),
)
ADDRESS = SourceTable(
    "address",
    key="address_id",
    columns=(
        Column("address_id", INTEGER),
        Column("street", TEXT),
        Column("district", TEXT, nullable=True),
        Column("city", varchar(50)),
        Column("country", varchar(50)),
    ),
)
STORE = SourceTable(
    "store",
    key="store_id",
    columns=(
        Column("store_id", INTEGER),
        Column("store_name", TEXT),
        Column("address_id", INTEGER, references="address"),
    ),
)
CUSTOMER = SourceTable(
    "customer",
    key="customer_id",
    columns=(
        Column("customer_id", INTEGER),
        Column("first_name", TEXT),
        Column("last_name", TEXT),
        Column("email", TEXT, nullable=True),
        Column("address_id", INTEGER, references="address"),
        Column("active", BOOLEAN),
        Column("joined_on", DATE),
    ),
)
INVENTORY = SourceTable(
    "inventory",
    key="inventory_id",
    columns=(
        Column("inventory_id", INTEGER),
        Column("film_id", INTEGER, references="film"),
        Column("store_id", INTEGER, references="store"),
    ),
)
RENTAL = SourceTable(
    "rental",
    key="rental_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("rental_id", BIGINT),
        Column("inventory_id", INTEGER, references="inventory"),
        Column("customer_id", INTEGER, references="customer"),
        Column("rented_at", TIMESTAMP),
        Column("returned_at", TIMESTAMP, nullable=True),
    ),
)
PAYMENT = SourceTable(
    "payment",
    key="payment_id",
    capture=Capture.INCREMENTAL,
    # Partitioned by paid_at.
    unenforced_key=True,
    columns=(
        Column("payment_id", BIGINT),
        Column("rental_id", BIGINT, references="rental"),
        Column("customer_id", INTEGER, references="customer"),
        Column("amount", AMOUNT),
        Column("voided", BOOLEAN),
        Column("paid_at", TIMESTAMP),
    ),
)

SOURCES = (
    *(LANGUAGE, CATEGORY, FILM, FILM_CATEGORY, ADDRESS, STORE, CUSTOMER, INVENTORY),
    *(RENTAL, PAYMENT),
)

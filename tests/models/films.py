"""A film rental shop whose builds leave rows out: by a filter, and by joins that may match nothing."""

import polars as pl

from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, Fact, SourceTable
from totesys.types import BOOLEAN, INTEGER, TEXT

LANGUAGE = SourceTable(
    "language", key="language_id", columns=(Column("language_id", INTEGER), Column("language_name", TEXT))
)
CATEGORY = SourceTable("film_category", key="film_id", columns=(Column("film_id", INTEGER), Column("category", TEXT)))
FILM = SourceTable(
    "film",
    key="film_id",
    columns=(
        Column("film_id", INTEGER),
        Column("title", TEXT),
        Column("language_id", INTEGER),
        Column("offered", BOOLEAN),
    ),
)
RENTAL = SourceTable(
    "rental",
    key="rental_id",
    capture=Capture.INCREMENTAL,
    columns=(Column("rental_id", INTEGER), Column("film_id", INTEGER), Column("status", TEXT)),
)


def build_dim_film(film: pl.LazyFrame, language: pl.LazyFrame, category: pl.LazyFrame) -> pl.LazyFrame:
    offered = film.filter(pl.col("offered"))
    return offered.join(language, on="language_id").join(category, on="film_id", how="left")


def build_fact_rental(rental: pl.LazyFrame) -> pl.LazyFrame:
    return rental.filter(pl.col("status") != "void")


DIM_FILM = Dimension(
    "dim_film",
    key="film_id",
    columns=(
        Column("film_id", INTEGER),
        Column("title", TEXT),
        Column("language_name", TEXT),
        Column("category", TEXT, nullable=True),
    ),
    sources=(FILM.name, LANGUAGE.name, CATEGORY.name),
    build=build_dim_film,
    reference_query="""
    SELECT film_id, title, language_name, category
    FROM film JOIN language USING (language_id) LEFT JOIN film_category USING (film_id) WHERE offered""",
)
FACT_RENTAL = Fact(
    "fact_rental",
    star="rentals",
    record_id="rental_record_id",
    key="rental_id",
    columns=(Column("rental_id", INTEGER), Column("film_id", INTEGER), Column("status", TEXT)),
    sources=(RENTAL.name,),
    build=build_fact_rental,
    reference_query="SELECT rental_id, film_id, status FROM rental WHERE status <> 'void'",
)

MODEL = Model(name="films", sources=(LANGUAGE, CATEGORY, FILM, RENTAL), tables=(DIM_FILM, FACT_RENTAL))

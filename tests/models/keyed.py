"""A chain of shops whose keys are texts, days, several columns together, and integers of 64 bits."""

import polars as pl

from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, Fact, SourceTable
from totesys.types import BIGINT, DATE, INTEGER, TEXT, varchar

COUNTRY = SourceTable("country", key="code", columns=(Column("code", varchar(10)), Column("title", TEXT)))
OFFER = SourceTable(
    "offer",
    key=("code", "product"),
    capture=Capture.INCREMENTAL,
    columns=(Column("code", varchar(10)), Column("product", TEXT), Column("price", INTEGER, nullable=True)),
)
LINE = SourceTable(
    "line",
    key=("receipt", "place"),
    capture=Capture.INCREMENTAL,
    columns=(
        Column("receipt", BIGINT),
        Column("place", INTEGER),
        Column("code", varchar(10)),
        Column("product", TEXT),
        Column("units", INTEGER, nullable=True),
    ),
)
CLOSING = SourceTable(
    "closing",
    key="day",
    capture=Capture.INCREMENTAL,
    columns=(Column("day", DATE), Column("total", INTEGER), Column("void", INTEGER)),
)
TICKET = SourceTable(
    "ticket",
    key="number",
    capture=Capture.INCREMENTAL,
    columns=(Column("number", BIGINT), Column("code", varchar(10), nullable=True)),
)


def as_it_is(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


def build_fact_closing(closing: pl.LazyFrame) -> pl.LazyFrame:
    return closing.filter(pl.col("void") == 0)


DIM_COUNTRY = Dimension(
    "dim_country",
    key="country_code",
    columns=(Column("country_code", TEXT), Column("title", TEXT)),
    sources=(COUNTRY.name,),
    build=lambda country: country.rename({"code": "country_code"}),
    reference_query="SELECT code AS country_code, title FROM country",
)
DIM_OFFER = Dimension(
    "dim_offer",
    key=("country_code", "product"),
    columns=(Column("country_code", TEXT), Column("product", TEXT), Column("price", INTEGER)),
    sources=(OFFER.name,),
    build=lambda offer: offer.rename({"code": "country_code"}),
    reference_query="SELECT code AS country_code, product, price FROM offer",
)
FACT_LINE = Fact(
    "fact_line",
    star="sales",
    record_id="line_record_id",
    key=("receipt", "place"),
    columns=(
        Column("receipt", BIGINT),
        Column("place", INTEGER),
        Column("country_code", TEXT, references="dim_offer"),
        Column("product", TEXT, references="dim_offer"),
        Column("units", INTEGER),
    ),
    sources=(LINE.name,),
    build=lambda line: line.rename({"code": "country_code"}),
    reference_query="SELECT receipt, place, code AS country_code, product, units FROM line",
)
FACT_CLOSING = Fact(
    "fact_closing",
    star="closings",
    record_id="closing_record_id",
    key="day",
    columns=(Column("day", DATE), Column("total", INTEGER)),
    sources=(CLOSING.name,),
    build=build_fact_closing,
    reference_query="SELECT day, total FROM closing WHERE void = 0",
)
FACT_TICKET = Fact(
    "fact_ticket",
    star="tickets",
    record_id="ticket_record_id",
    key="number",
    columns=(Column("number", BIGINT), Column("code", TEXT, nullable=True, references="dim_country")),
    sources=(TICKET.name,),
    build=as_it_is,
    reference_query="SELECT number, code FROM ticket",
)

MODEL = Model(
    "keyed",
    sources=(COUNTRY, OFFER, LINE, CLOSING, TICKET),
    tables=(FACT_LINE, FACT_CLOSING, FACT_TICKET, DIM_COUNTRY, DIM_OFFER),
)

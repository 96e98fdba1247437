"""A lending library: a second, tiny company, whose tables have nothing in common with the first one's."""

import polars as pl

from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, Fact, SourceTable
from totesys.types import BIGINT, BOOLEAN, DATE, INTEGER, TEXT, TIMESTAMP, enum, numeric

BOOK = SourceTable(
    "book",
    key="book_id",
    columns=(
        Column("book_id", INTEGER),
        Column("title", TEXT),
        Column("shelf", TEXT, nullable=True),
        Column("genre", enum("Genre", "NOVEL", "POETRY")),
    ),
)

LOAN = SourceTable(
    "loan",
    key="loan_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("loan_id", BIGINT),
        Column("book_id", INTEGER, references="book"),
        Column("reader", TEXT),
        Column("lent_at", TIMESTAMP),
        Column("fee", numeric(8, 2)),
        Column("returned", BOOLEAN, nullable=True),
    ),
)


def build_dim_book(book: pl.LazyFrame) -> pl.LazyFrame:
    return book


DIM_BOOK = Dimension(
    "dim_book",
    key="book_id",
    columns=(
        Column("book_id", INTEGER),
        Column("title", TEXT),
        Column("shelf", TEXT, nullable=True),
        Column("genre", TEXT),
    ),
    sources=(BOOK.name,),
    build=build_dim_book,
    reference_query="SELECT book_id, title, shelf, genre::text AS genre FROM book",
)


def build_fact_loan(loan: pl.LazyFrame) -> pl.LazyFrame:
    return loan.with_columns(lent_on=pl.col("lent_at").dt.date())


FACT_LOAN = Fact(
    "fact_loan",
    star="lending",
    record_id="loan_record_id",
    key="loan_id",
    columns=(
        Column("loan_id", BIGINT),
        Column("book_id", INTEGER, references="dim_book"),
        Column("reader", TEXT),
        Column("lent_on", DATE),
        Column("fee", numeric(8, 2)),
        Column("returned", BOOLEAN, nullable=True),
    ),
    sources=(LOAN.name,),
    build=build_fact_loan,
    reference_query="SELECT loan_id, book_id, reader, lent_at::date AS lent_on, fee, returned FROM loan",
)

MODEL = Model(name="library", sources=(LOAN, BOOK), tables=(FACT_LOAN, DIM_BOOK))

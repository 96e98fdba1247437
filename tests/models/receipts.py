"""A shop whose fact is a line of an order, with columns of the order and of the discount that a line may have."""

import polars as pl

from totesys.schema import Model
from totesys.table import Column, Dimension, Fact, SourceQuery, SourceTable
from totesys.types import INTEGER, TEXT, timestamptz, unconstrained_numeric

CUSTOMER = SourceTable("customer", key="customer_id", columns=(Column("customer_id", INTEGER), Column("title", TEXT)))
ORDER_LINE = SourceQuery(
    "order_line",
    key="line_id",
    columns=(
        Column("line_id", INTEGER),
        Column("ordered_at", timestamptz()),
        Column("customer_id", INTEGER),
        Column("units", INTEGER),
        Column("price", unconstrained_numeric(12, 2)),
        Column("percent", INTEGER, nullable=True),
    ),
    sql="""
    SELECT l.line_id, o.ordered_at, o.customer_id, l.units, l.price, d.percent
    FROM line AS l JOIN ord AS o USING (ord_id) LEFT JOIN discount AS d ON d.line_id = l.line_id
    WHERE o.status <> 'void' -- a void order has no lines""",
    tables={"l": "line", "o": "ord", "d": "discount"},
)


def as_it_is(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


DIM_CUSTOMER = Dimension(
    "dim_customer",
    key="customer_id",
    columns=(Column("customer_id", INTEGER), Column("title", TEXT)),
    sources=(CUSTOMER.name,),
    build=as_it_is,
    reference_query="SELECT customer_id, title FROM customer",
)
FACT_LINE = Fact(
    "fact_line",
    star="orders",
    record_id="line_record_id",
    key="line_id",
    columns=(
        Column("line_id", INTEGER),
        Column("ordered_at", timestamptz()),
        Column("customer_id", INTEGER, references="dim_customer"),
        Column("units", INTEGER),
        Column("price", unconstrained_numeric(12, 2)),
        Column("percent", INTEGER, nullable=True),
    ),
    sources=(ORDER_LINE.name,),
    build=as_it_is,
    reference_query="""
    SELECT line_id, ordered_at, customer_id, units, price,
           (SELECT percent FROM discount WHERE discount.line_id = line.line_id) AS percent
    FROM line JOIN ord USING (ord_id) WHERE status <> 'void'""",
)
MODEL = Model("receipts", sources=(CUSTOMER, ORDER_LINE), tables=(FACT_LINE, DIM_CUSTOMER))

TABLES = """
CREATE TABLE customer (customer_id integer PRIMARY KEY, title text NOT NULL);
CREATE TABLE ord (
    ord_id integer PRIMARY KEY, ordered_at timestamptz NOT NULL, customer_id integer NOT NULL,
    status text NOT NULL DEFAULT 'new');
CREATE TABLE line (
    line_id integer PRIMARY KEY, ord_id integer NOT NULL {line_key}, units integer NOT NULL, price numeric NOT NULL);
CREATE INDEX ON line (ord_id);
CREATE TABLE discount (discount_id integer PRIMARY KEY, line_id integer NOT NULL, percent integer NOT NULL);
CREATE INDEX ON discount (line_id);
"""


def tables(*, foreign_keys: bool) -> str:
    """The source's DDL. Without foreign keys, an order may be deleted before its lines."""
    return TABLES.format(line_key="REFERENCES ord ON DELETE CASCADE" if foreign_keys else "")

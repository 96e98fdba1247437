"""A small company for random histories: facts of two stars, a joined dimension, and one captured as changes."""

import polars as pl

from totesys.schema import Model
from totesys.table import Capture, Column, Dimension, Fact, SourceTable
from totesys.types import INTEGER, TEXT, TIMESTAMP

LAST_UPDATED = Column("last_updated", TIMESTAMP)

REGION = SourceTable(
    "region", key="region_id", columns=(Column("region_id", INTEGER), Column("region_name", TEXT), LAST_UPDATED)
)
SHOP = SourceTable(
    "shop",
    key="shop_id",
    columns=(
        Column("shop_id", INTEGER),
        Column("shop_name", TEXT, nullable=True),
        Column("region_id", INTEGER, references="region"),
        LAST_UPDATED,
    ),
)
TICKET = SourceTable(
    "ticket",
    key="ticket_id",
    capture=Capture.INCREMENTAL,
    columns=(Column("ticket_id", INTEGER), Column("label", TEXT), LAST_UPDATED),
)
SALE = SourceTable(
    "sale",
    key="sale_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("sale_id", INTEGER),
        Column("shop_id", INTEGER, references="shop"),
        Column("ticket_id", INTEGER, references="ticket"),
        Column("amount", INTEGER),
        Column("note", TEXT, nullable=True),
        LAST_UPDATED,
    ),
)
REFUND = SourceTable(
    "refund",
    key="refund_id",
    capture=Capture.INCREMENTAL,
    columns=(
        Column("refund_id", INTEGER),
        Column("ticket_id", INTEGER, references="ticket"),
        Column("amount", INTEGER, nullable=True),
        LAST_UPDATED,
    ),
)


def as_it_is(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


def build_dim_shop(shop: pl.LazyFrame, region: pl.LazyFrame) -> pl.LazyFrame:
    return shop.join(region, on="region_id", how="left")


DIM_SHOP = Dimension(
    "dim_shop",
    key="shop_id",
    columns=(Column("shop_id", INTEGER), Column("shop_name", TEXT), Column("region_name", TEXT)),
    sources=(SHOP.name, REGION.name),
    build=build_dim_shop,
    reference_query="""
    SELECT shop_id, coalesce(shop_name, 'Unknown') AS shop_name, region_name FROM shop JOIN region USING (region_id)""",
)
DIM_TICKET = Dimension(
    "dim_ticket",
    key="ticket_id",
    columns=(Column("ticket_id", INTEGER), Column("label", TEXT)),
    sources=(TICKET.name,),
    build=as_it_is,
    reference_query="SELECT ticket_id, label FROM ticket",
)
FACT_SALE = Fact(
    "fact_sale",
    star="sales",
    record_id="sale_record_id",
    key="sale_id",
    columns=(
        Column("sale_id", INTEGER),
        Column("shop_id", INTEGER, references="dim_shop"),
        Column("ticket_id", INTEGER, references="dim_ticket"),
        Column("amount", INTEGER),
        Column("note", TEXT, nullable=True),
        LAST_UPDATED,
    ),
    sources=(SALE.name,),
    build=as_it_is,
    reference_query="SELECT sale_id, shop_id, ticket_id, amount, note, last_updated FROM sale",
)
# Without the time of the update: a row that was only touched is no new version.
FACT_REFUND = Fact(
    "fact_refund",
    star="refunds",
    record_id="refund_record_id",
    key="refund_id",
    columns=(
        Column("refund_id", INTEGER),
        Column("ticket_id", INTEGER, references="dim_ticket"),
        Column("amount", INTEGER, nullable=True),
    ),
    sources=(REFUND.name,),
    build=as_it_is,
    reference_query="SELECT refund_id, ticket_id, amount FROM refund",
)

MODEL = Model(
    name="shops",
    sources=(REGION, SHOP, TICKET, SALE, REFUND),
    tables=(FACT_SALE, FACT_REFUND, DIM_SHOP, DIM_TICKET),
)

"""The Sales star."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.model.expressions import (
    AGREED_DELIVERY_DATE,
    AGREED_DELIVERY_LOCATION,
    AGREED_PAYMENT_DATE,
    TIMESTAMPS_QUERY,
    iso_date,
    iso_date_query,
    split_timestamps,
    timestamp_columns,
)
from totesys.model.source_tables import DESIGN, MONEY, SALES_ORDER
from totesys.table import Column, Dimension, Fact
from totesys.types import INTEGER, TEXT

if TYPE_CHECKING:
    import polars as pl


def build_fact_sales_order(sales_order: pl.LazyFrame) -> pl.LazyFrame:
    return sales_order.with_columns(
        *split_timestamps(),
        iso_date("agreed_payment_date"),
        iso_date("agreed_delivery_date"),
        sales_staff_id="staff_id",
    )


FACT_SALES_ORDER = Fact(
    "fact_sales_order",
    description="A version of a sales order: units of one design sold to a counterparty",
    star="sales",
    record_id="sales_record_id",
    key="sales_order_id",
    columns=(
        Column("sales_order_id", INTEGER, description="Sales order; the same in all its versions"),
        *timestamp_columns(SALES_ORDER, "order"),
        Column(
            "sales_staff_id",
            INTEGER,
            references="dim_staff",
            description="Member of staff who made the sale",
            source="sales_order.staff_id",
        ),
        Column("counterparty_id", INTEGER, references="dim_counterparty", description="Counterparty that buys"),
        Column("units_sold", INTEGER, description="Number of units sold"),
        Column("unit_price", MONEY, description="Price of one unit, in the order's currency"),
        Column("currency_id", INTEGER, references="dim_currency", description="Currency of the order"),
        Column("design_id", INTEGER, references="dim_design", description="Design of the units"),
        AGREED_PAYMENT_DATE,
        AGREED_DELIVERY_DATE,
        AGREED_DELIVERY_LOCATION,
    ),
    sources=(SALES_ORDER.name,),
    build=build_fact_sales_order,
    reference_query=f"""
    SELECT sales_order_id, {TIMESTAMPS_QUERY}, staff_id AS sales_staff_id, counterparty_id, units_sold,
           unit_price, currency_id, design_id, {iso_date_query("agreed_payment_date")},
           {iso_date_query("agreed_delivery_date")}, agreed_delivery_location_id
    FROM sales_order""",
)


def build_dim_design(design: pl.LazyFrame) -> pl.LazyFrame:
    return design


DIM_DESIGN = Dimension(
    "dim_design",
    description="A product design",
    key="design_id",
    columns=(
        Column("design_id", INTEGER, description="Design"),
        Column("design_name", TEXT, description="Name of the design; several designs may share a name"),
        Column("file_location", TEXT, description="Folder of the design file"),
        Column("file_name", TEXT, description="Name of the design file in that folder"),
    ),
    sources=(DESIGN.name,),
    build=build_dim_design,
    reference_query="SELECT design_id, design_name, file_location, file_name FROM design",
)

TABLES = (FACT_SALES_ORDER, DIM_DESIGN)

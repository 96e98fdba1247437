"""The Sales star."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.model.expressions import MOMENTS, MOMENTS_ORACLE, iso_date, iso_date_oracle, moments
from totesys.model.source import DESIGN, MONEY, SALES_ORDER
from totesys.table import Column, Dimension, Fact
from totesys.types import DATE, INTEGER, TEXT

if TYPE_CHECKING:
    import polars as pl


def build_fact_sales_order(sales_order: pl.LazyFrame) -> pl.LazyFrame:
    return sales_order.with_columns(
        *moments(),
        iso_date("agreed_payment_date"),
        iso_date("agreed_delivery_date"),
        sales_staff_id="staff_id",
    )


FACT_SALES_ORDER = Fact(
    "fact_sales_order",
    star="sales",
    record_id="sales_record_id",
    key="sales_order_id",
    columns=(
        Column("sales_order_id", INTEGER),
        *MOMENTS,
        Column("sales_staff_id", INTEGER, references="dim_staff"),
        Column("counterparty_id", INTEGER, references="dim_counterparty"),
        Column("units_sold", INTEGER),
        Column("unit_price", MONEY),
        Column("currency_id", INTEGER, references="dim_currency"),
        Column("design_id", INTEGER, references="dim_design"),
        Column("agreed_payment_date", DATE, references="dim_date"),
        Column("agreed_delivery_date", DATE, references="dim_date"),
        Column("agreed_delivery_location_id", INTEGER, references="dim_location"),
    ),
    sources=(SALES_ORDER.name,),
    build=build_fact_sales_order,
    oracle=f"""
    SELECT sales_order_id, {MOMENTS_ORACLE}, staff_id AS sales_staff_id, counterparty_id, units_sold,
           unit_price, currency_id, design_id, {iso_date_oracle("agreed_payment_date")},
           {iso_date_oracle("agreed_delivery_date")}, agreed_delivery_location_id
    FROM sales_order""",
)


def build_dim_design(design: pl.LazyFrame) -> pl.LazyFrame:
    return design


DIM_DESIGN = Dimension(
    "dim_design",
    key="design_id",
    columns=(
        Column("design_id", INTEGER),
        Column("design_name", TEXT),
        Column("file_location", TEXT),
        Column("file_name", TEXT),
    ),
    sources=(DESIGN.name,),
    build=build_dim_design,
    oracle="SELECT design_id, design_name, file_location, file_name FROM design",
)

TABLES = (FACT_SALES_ORDER, DIM_DESIGN)

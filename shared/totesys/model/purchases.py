"""The Purchases star."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.model.expressions import MOMENTS, MOMENTS_ORACLE, iso_date, iso_date_oracle, moments
from totesys.model.source import MONEY, PURCHASE_ORDER
from totesys.table import Column, Fact
from totesys.types import DATE, INTEGER, TEXT

if TYPE_CHECKING:
    import polars as pl


def build_fact_purchase_order(purchase_order: pl.LazyFrame) -> pl.LazyFrame:
    return purchase_order.with_columns(*moments(), iso_date("agreed_delivery_date"), iso_date("agreed_payment_date"))


FACT_PURCHASE_ORDER = Fact(
    "fact_purchase_order",
    star="purchases",
    record_id="purchase_record_id",
    key="purchase_order_id",
    columns=(
        Column("purchase_order_id", INTEGER),
        *MOMENTS,
        Column("staff_id", INTEGER, references="dim_staff"),
        Column("counterparty_id", INTEGER, references="dim_counterparty"),
        Column("item_code", TEXT),
        Column("item_quantity", INTEGER),
        Column("item_unit_price", MONEY),
        Column("currency_id", INTEGER, references="dim_currency"),
        Column("agreed_delivery_date", DATE, references="dim_date"),
        Column("agreed_payment_date", DATE, references="dim_date"),
        Column("agreed_delivery_location_id", INTEGER, references="dim_location"),
    ),
    sources=(PURCHASE_ORDER.name,),
    build=build_fact_purchase_order,
    oracle=f"""
    SELECT purchase_order_id, {MOMENTS_ORACLE}, staff_id, counterparty_id, item_code, item_quantity,
           item_unit_price, currency_id, {iso_date_oracle("agreed_delivery_date")},
           {iso_date_oracle("agreed_payment_date")}, agreed_delivery_location_id
    FROM purchase_order""",
)

TABLES = (FACT_PURCHASE_ORDER,)

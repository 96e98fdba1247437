"""The Purchases star."""

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
from totesys.model.source_tables import MONEY, PURCHASE_ORDER
from totesys.table import Column, Fact
from totesys.types import INTEGER, TEXT

if TYPE_CHECKING:
    import polars as pl


def build_fact_purchase_order(purchase_order: pl.LazyFrame) -> pl.LazyFrame:
    return purchase_order.with_columns(
        *split_timestamps(), iso_date("agreed_delivery_date"), iso_date("agreed_payment_date")
    )


FACT_PURCHASE_ORDER = Fact(
    "fact_purchase_order",
    description="A version of a purchase order: a quantity of one item bought from a counterparty",
    star="purchases",
    record_id="purchase_record_id",
    key="purchase_order_id",
    columns=(
        Column("purchase_order_id", INTEGER, description="Purchase order; the same in all its versions"),
        *timestamp_columns(PURCHASE_ORDER, "order"),
        Column("staff_id", INTEGER, references="dim_staff", description="Member of staff who made the purchase"),
        Column("counterparty_id", INTEGER, references="dim_counterparty", description="Counterparty that sells"),
        Column("item_code", TEXT, description="Code of the item bought"),
        Column("item_quantity", INTEGER, description="Number of items bought"),
        Column("item_unit_price", MONEY, description="Price of one item, in the order's currency"),
        Column("currency_id", INTEGER, references="dim_currency", description="Currency of the order"),
        AGREED_DELIVERY_DATE,
        AGREED_PAYMENT_DATE,
        AGREED_DELIVERY_LOCATION,
    ),
    sources=(PURCHASE_ORDER.name,),
    build=build_fact_purchase_order,
    reference_query=f"""
    SELECT purchase_order_id, {TIMESTAMPS_QUERY}, staff_id, counterparty_id, item_code, item_quantity,
           item_unit_price, currency_id, {iso_date_query("agreed_delivery_date")},
           {iso_date_query("agreed_payment_date")}, agreed_delivery_location_id
    FROM purchase_order""",
)

TABLES = (FACT_PURCHASE_ORDER,)

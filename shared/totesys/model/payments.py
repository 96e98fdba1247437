"""The Payments star."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.model.expressions import MOMENTS, MOMENTS_ORACLE, iso_date, iso_date_oracle, moments
from totesys.model.source import MONEY, PAYMENT, PAYMENT_TYPE, TRANSACTION
from totesys.table import Column, Dimension, Fact
from totesys.types import BOOLEAN, DATE, INTEGER, TEXT

if TYPE_CHECKING:
    import polars as pl


def build_fact_payment(payment: pl.LazyFrame) -> pl.LazyFrame:
    return payment.with_columns(*moments(), iso_date("payment_date"))


FACT_PAYMENT = Fact(
    "fact_payment",
    star="payments",
    record_id="payment_record_id",
    key="payment_id",
    columns=(
        Column("payment_id", INTEGER),
        *MOMENTS,
        Column("transaction_id", INTEGER, references="dim_transaction"),
        Column("counterparty_id", INTEGER, references="dim_counterparty"),
        Column("payment_amount", MONEY),
        Column("currency_id", INTEGER, references="dim_currency"),
        Column("payment_type_id", INTEGER, references="dim_payment_type"),
        Column("paid", BOOLEAN),
        Column("payment_date", DATE, references="dim_date"),
    ),
    sources=(PAYMENT.name,),
    build=build_fact_payment,
    oracle=f"""
    SELECT payment_id, {MOMENTS_ORACLE}, transaction_id, counterparty_id, payment_amount, currency_id,
           payment_type_id, paid, {iso_date_oracle("payment_date")}
    FROM payment""",
)


def build_dim_transaction(transaction: pl.LazyFrame) -> pl.LazyFrame:
    return transaction


DIM_TRANSACTION = Dimension(
    "dim_transaction",
    key="transaction_id",
    columns=(
        Column("transaction_id", INTEGER),
        Column("transaction_type", TEXT),
        Column("sales_order_id", INTEGER, nullable=True),
        Column("purchase_order_id", INTEGER, nullable=True),
    ),
    sources=(TRANSACTION.name,),
    build=build_dim_transaction,
    oracle="""
    SELECT transaction_id, transaction_type::text AS transaction_type, sales_order_id, purchase_order_id
    FROM transaction""",
)


def build_dim_payment_type(payment_type: pl.LazyFrame) -> pl.LazyFrame:
    return payment_type


DIM_PAYMENT_TYPE = Dimension(
    "dim_payment_type",
    key="payment_type_id",
    columns=(Column("payment_type_id", INTEGER), Column("payment_type_name", TEXT)),
    sources=(PAYMENT_TYPE.name,),
    build=build_dim_payment_type,
    oracle="SELECT payment_type_id, payment_type_name::text AS payment_type_name FROM payment_type",
)

TABLES = (FACT_PAYMENT, DIM_TRANSACTION, DIM_PAYMENT_TYPE)

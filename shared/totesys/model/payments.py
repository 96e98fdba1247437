"""The Payments star."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.model.expressions import TIMESTAMPS_QUERY, iso_date, iso_date_query, split_timestamps, timestamp_columns
from totesys.model.source_tables import MONEY, PAYMENT, PAYMENT_TYPE, PAYMENT_TYPE_NAME, TRANSACTION, TRANSACTION_TYPE
from totesys.table import Column, Dimension, Fact
from totesys.types import BOOLEAN, DATE, INTEGER, TEXT

if TYPE_CHECKING:
    import polars as pl


def build_fact_payment(payment: pl.LazyFrame) -> pl.LazyFrame:
    return payment.with_columns(*split_timestamps(), iso_date("payment_date"))


FACT_PAYMENT = Fact(
    "fact_payment",
    description="A version of a payment, made or due, for one transaction",
    star="payments",
    record_id="payment_record_id",
    key="payment_id",
    columns=(
        Column("payment_id", INTEGER, description="Payment; the same in all its versions"),
        *timestamp_columns(PAYMENT, "payment"),
        Column(
            "transaction_id", INTEGER, references="dim_transaction", description="Transaction that the payment is for"
        ),
        Column(
            "counterparty_id", INTEGER, references="dim_counterparty", description="Counterparty that pays or is paid"
        ),
        Column("payment_amount", MONEY, description="Amount, in the payment's currency"),
        Column("currency_id", INTEGER, references="dim_currency", description="Currency of the payment"),
        Column(
            "payment_type_id", INTEGER, references="dim_payment_type", description="Direction and reason of the payment"
        ),
        Column("paid", BOOLEAN, description="Whether the payment has been made"),
        Column(
            "payment_date",
            DATE,
            references="dim_date",
            description="Day of the payment; the due day if it has not been made",
        ),
    ),
    sources=(PAYMENT.name,),
    build=build_fact_payment,
    reference_query=f"""
    SELECT payment_id, {TIMESTAMPS_QUERY}, transaction_id, counterparty_id, payment_amount, currency_id,
           payment_type_id, paid, {iso_date_query("payment_date")}
    FROM payment""",
)


def build_dim_transaction(transaction: pl.LazyFrame) -> pl.LazyFrame:
    return transaction


DIM_TRANSACTION = Dimension(
    "dim_transaction",
    description="A transaction: the sale or purchase that a payment is for",
    key="transaction_id",
    columns=(
        Column("transaction_id", INTEGER, description="Transaction"),
        Column("transaction_type", TEXT, description=f"One of {', '.join(TRANSACTION_TYPE.values)}"),
        Column(
            "sales_order_id",
            INTEGER,
            nullable=True,
            description="Sales order of a sale; NULL for a purchase or a deleted order",
        ),
        Column(
            "purchase_order_id",
            INTEGER,
            nullable=True,
            description="Purchase order of a purchase; NULL for a sale or a deleted order",
        ),
    ),
    sources=(TRANSACTION.name,),
    build=build_dim_transaction,
    reference_query="""
    SELECT transaction_id, transaction_type::text AS transaction_type, sales_order_id, purchase_order_id
    FROM transaction""",
)


def build_dim_payment_type(payment_type: pl.LazyFrame) -> pl.LazyFrame:
    return payment_type


DIM_PAYMENT_TYPE = Dimension(
    "dim_payment_type",
    description="A payment type",
    key="payment_type_id",
    columns=(
        Column("payment_type_id", INTEGER, description="Payment type"),
        Column("payment_type_name", TEXT, description=f"One of {', '.join(PAYMENT_TYPE_NAME.values)}"),
    ),
    sources=(PAYMENT_TYPE.name,),
    build=build_dim_payment_type,
    reference_query="SELECT payment_type_id, payment_type_name::text AS payment_type_name FROM payment_type",
)

TABLES = (FACT_PAYMENT, DIM_TRANSACTION, DIM_PAYMENT_TYPE)

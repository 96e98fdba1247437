"""The two stars of the rental shops: rentals and payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from totesys.table import Column, Fact
from totesys.types import BIGINT, DATE, INTEGER, TIME

from .source_tables import AMOUNT, PAYMENT, RENTAL

if TYPE_CHECKING:
    import polars as pl

CUSTOMER_ID = Column("customer_id", INTEGER, references="dim_customer", description="Customer")


def day_and_time(name: str) -> list[pl.Expr]:
    """The columns `{name}_date` and `{name}_time` of the timestamp `{name}_at`."""
    import polars as pl

    at = pl.col(f"{name}_at").dt
    return [at.date().alias(f"{name}_date"), at.time().alias(f"{name}_time")]


def day_and_time_columns(name: str, what: str, *, nullable: bool = False) -> tuple[Column, Column]:
    """The declarations of these columns, for the event `what`."""
    source = f"{RENTAL.name if name != 'paid' else PAYMENT.name}.{name}_at"
    day, time = f"Day of the {what}", f"Time of the {what}, to the millisecond"
    return (
        Column(f"{name}_date", DATE, nullable, references="dim_date", description=day, source=source),
        Column(f"{name}_time", TIME, nullable, description=time, source=source),
    )


def build_fact_rental(rental: pl.LazyFrame) -> pl.LazyFrame:
    return rental.rename({"inventory_id": "copy_id"}).with_columns(*day_and_time("rented"), *day_and_time("returned"))


FACT_RENTAL = Fact(
    "fact_rental",
    description="A version of a rental: one copy, one customer",
    star="rentals",
    record_id="rental_record_id",
    key="rental_id",
    columns=(
        Column("rental_id", BIGINT, description="Rental; the same in all its versions"),
        Column(
            "copy_id", INTEGER, references="dim_copy", description="Copy that was rented", source="rental.inventory_id"
        ),
        CUSTOMER_ID,
        *day_and_time_columns("rented", "rental"),
        *day_and_time_columns("returned", "return", nullable=True),
    ),
    sources=(RENTAL.name,),
    build=build_fact_rental,
    reference_query="""
    SELECT rental_id, inventory_id AS copy_id, customer_id,
           rented_at::date AS rented_date, rented_at::time(3) AS rented_time,
           returned_at::date AS returned_date, returned_at::time(3) AS returned_time
    FROM rental""",
)


def build_fact_payment(payment: pl.LazyFrame) -> pl.LazyFrame:
    """Payments that count. A voided one leaves the star, and returns if it is reinstated."""
    import polars as pl

    return payment.filter(~pl.col("voided")).with_columns(*day_and_time("paid"))


FACT_PAYMENT = Fact(
    "fact_payment",
    description="A version of a payment for a rental; voided payments are left out",
    star="payments",
    record_id="payment_record_id",
    key="payment_id",
    columns=(
        Column("payment_id", BIGINT, description="Payment; the same in all its versions"),
        Column("rental_id", BIGINT, description="Rental that the payment is for"),
        CUSTOMER_ID,
        *day_and_time_columns("paid", "payment"),
        Column("amount", AMOUNT, description="Amount in euros"),
    ),
    sources=(PAYMENT.name,),
    build=build_fact_payment,
    reference_query="""
    SELECT payment_id, rental_id, customer_id, paid_at::date AS paid_date, paid_at::time(3) AS paid_time, amount
    FROM payment WHERE NOT voided""",
)

TABLES = (FACT_RENTAL, FACT_PAYMENT)

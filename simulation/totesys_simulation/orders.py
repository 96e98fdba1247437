"""Orders with their transaction and payment, pure and seeded, for generated history and for the live writer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from totesys.model.source_tables import (
    ADDRESS,
    COUNTERPARTY,
    CURRENCY,
    DESIGN,
    PAYMENT_TYPE_NAME,
    PURCHASE_ORDER,
    SALES_ORDER,
    STAFF,
)
from totesys.table import SourceTable
from totesys_simulation.reference_rows import Row

SALES_RECEIPT = PAYMENT_TYPE_NAME.values.index("SALES_RECEIPT") + 1
PURCHASE_PAYMENT = PAYMENT_TYPE_NAME.values.index("PURCHASE_PAYMENT") + 1
PAYMENT_ROUND = time(7, 55)
CODE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

Keys = Mapping[str, Sequence[int]]


class Ids(NamedTuple):
    """The keys of one order's three rows."""

    order: int
    transaction: int
    payment: int


class OrderRows(NamedTuple):
    """The rows of one order of `table`: its own, its transaction's and its payment's."""

    table: SourceTable
    order: Row
    transaction: Row
    payment: Row


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that both kinds of order have. `delivery_day` is text, yyyy-mm-dd."""

    staff: int
    counterparty: int
    currency: int
    location: int
    delivery_day: str
    payment_day: datetime


def sale(random: Random, keys: Keys, ids: Ids, at: datetime, closing: datetime | None = None) -> OrderRows:
    """A sales order of the time `at`. If its payment is due before `closing`, most likely it is paid."""
    terms = _terms(random, keys, at)
    units, price = random.randint(1_000, 100_000), random.randint(200, 400)
    order = (
        *(ids.order, at, at, random.choice(keys[DESIGN.name]), terms.staff, terms.counterparty, units),
        *(money(price), terms.currency, terms.delivery_day, f"{terms.payment_day:%Y-%m-%d}", terms.location),
    )
    transaction = (ids.transaction, "SALE", ids.order, None, at, at)
    payment = _payment(random, ids, at, terms, units * price, SALES_RECEIPT, closing)
    return OrderRows(SALES_ORDER, order, transaction, payment)


def purchase(random: Random, keys: Keys, ids: Ids, at: datetime, closing: datetime | None = None) -> OrderRows:
    """A purchase order of the time `at`. If its payment is due before `closing`, most likely it is paid."""
    terms = _terms(random, keys, at)
    quantity, price = random.randint(1, 1_000), random.randint(300, 100_000)
    code = "".join(random.choices(CODE_LETTERS, k=7))
    order = (
        *(ids.order, at, at, terms.staff, terms.counterparty, code, quantity, money(price)),
        *(terms.currency, terms.delivery_day, f"{terms.payment_day:%Y-%m-%d}", terms.location),
    )
    transaction = (ids.transaction, "PURCHASE", None, ids.order, at, at)
    payment = _payment(random, ids, at, terms, quantity * price, PURCHASE_PAYMENT, closing)
    return OrderRows(PURCHASE_ORDER, order, transaction, payment)


def money(cents: int) -> Decimal:
    """An amount with two decimals."""
    return Decimal(cents).scaleb(-2)


def delivery_day(random: Random, at: datetime) -> str:
    """A day within the week after `at`, rarely within two years, as yyyy-mm-dd."""
    days = random.randint(0, 7) if random.random() < 0.99 else random.randint(8, 700)
    return f"{at + timedelta(days=days):%Y-%m-%d}"


def _terms(random: Random, keys: Keys, at: datetime) -> Terms:
    return Terms(
        staff=random.choice(keys[STAFF.name]),
        counterparty=random.choice(keys[COUNTERPARTY.name]),
        currency=random.choice(keys[CURRENCY.name]),
        location=random.choice(keys[ADDRESS.name]),
        delivery_day=delivery_day(random, at),
        payment_day=datetime.combine(at, PAYMENT_ROUND) + timedelta(days=random.randint(1, 6)),
    )


def _payment(
    random: Random, ids: Ids, at: datetime, terms: Terms, cents: int, kind: int, closing: datetime | None
) -> Row:
    paid = closing is not None and terms.payment_day < closing and random.random() < 0.6
    paid_at = terms.payment_day + timedelta(milliseconds=random.randint(10_000, 13_000)) if paid else at
    accounts = random.randint(10_000_000, 99_999_999), random.randint(10_000_000, 99_999_999)
    return (
        *(ids.payment, at, paid_at, ids.transaction, terms.counterparty, money(cents), terms.currency, kind),
        *(paid, f"{terms.payment_day:%Y-%m-%d}", *accounts),
    )

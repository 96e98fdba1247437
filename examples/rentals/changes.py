"""What the shops do next. Pure and seeded: nothing here reads a clock or a database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from . import generated_rows
from .source_tables import ADDRESS, CATEGORY, CUSTOMER, FILM, INVENTORY, PAYMENT, RENTAL

# The tables whose rows are chosen by key.
SIZED = (ADDRESS, CATEGORY, CUSTOMER, FILM, INVENTORY, PAYMENT, RENTAL)
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Change:
    """A statement that changes rows of `table`; a row that is not there is left alone."""

    table: str
    sql: str
    arguments: tuple[object, ...]


def transaction(random: Random, sizes: Sizes, now: datetime, events: int) -> list[Change]:
    """The changes of the next `events` events."""
    chosen = random.choices(tuple(_EVENTS), tuple(_EVENTS.values()), k=events)
    return [change for event in chosen for change in event(random, sizes, now)]


def _key(random: Random, sizes: Sizes, table: str) -> int:
    return random.randint(1, max(1, sizes[table]))


def _rent(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    copy, customer = _key(random, sizes, "inventory"), _key(random, sizes, "customer")
    rent = "INSERT INTO rental (inventory_id, customer_id, rented_at) VALUES ($1, $2, $3)"
    pay = """
        INSERT INTO payment (rental_id, customer_id, amount, paid_at)
        VALUES (currval(pg_get_serial_sequence('rental', 'rental_id')), $1, $2, $3)"""
    amount = generated_rows.amount(random)
    return [Change("rental", rent, (copy, customer, now)), Change("payment", pay, (customer, amount, now))]


def _return(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    sql = "UPDATE rental SET returned_at = $2 WHERE rental_id = $1"
    return [Change("rental", sql, (_key(random, sizes, "rental"), now))]


def _cancel(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    """Delete a rental, and with it its payments."""
    return [Change("rental", "DELETE FROM rental WHERE rental_id = $1", (_key(random, sizes, "rental"),))]


def _void_or_reinstate(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    sql = "UPDATE payment SET voided = NOT voided WHERE payment_id = $1"
    return [Change("payment", sql, (_key(random, sizes, "payment"),))]


def _rebook(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    """Move a payment to another day, which may be in another partition."""
    sql = "UPDATE payment SET paid_at = $2 WHERE payment_id = $1"
    return [Change("payment", sql, (_key(random, sizes, "payment"), now - timedelta(days=random.randint(0, 700))))]


def _delete_payment(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    return [Change("payment", "DELETE FROM payment WHERE payment_id = $1", (_key(random, sizes, "payment"),))]


def _categorise(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    sql = """
        INSERT INTO film_category (film_id, category_id) VALUES ($1, $2)
        ON CONFLICT (film_id) DO UPDATE SET category_id = excluded.category_id"""
    return [Change("film_category", sql, (_key(random, sizes, "film"), _key(random, sizes, "category")))]


def _uncategorise(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    return [Change("film_category", "DELETE FROM film_category WHERE film_id = $1", (_key(random, sizes, "film"),))]


def _reprice(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    sql = "UPDATE film SET daily_rate = $2 WHERE film_id = $1"
    return [Change("film", sql, (_key(random, sizes, "film"), generated_rows.daily_rate(random)))]


def _move(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    sql = "UPDATE customer SET address_id = $2 WHERE customer_id = $1"
    return [Change("customer", sql, (_key(random, sizes, "customer"), _key(random, sizes, "address")))]


def _buy_copy(random: Random, sizes: Sizes, now: datetime) -> list[Change]:
    sql = "INSERT INTO inventory (film_id, store_id) SELECT $1, store_id FROM store ORDER BY store_id LIMIT 1"
    return [Change("inventory", sql, (_key(random, sizes, "film"),))]


_EVENTS: dict[Callable[[Random, Sizes, datetime], list[Change]], int] = {
    _rent: 30,
    _return: 30,
    _void_or_reinstate: 8,
    _rebook: 6,
    _cancel: 4,
    _delete_payment: 4,
    _categorise: 4,
    _uncategorise: 4,
    _reprice: 4,
    _move: 4,
    _buy_copy: 2,
}

"""What the simulated company does next. Pure and seeded: nothing here reads a clock or a database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from totesys.model.source_tables import (
    ADDRESS,
    COUNTERPARTY,
    CURRENCY,
    DEPARTMENT,
    DESIGN,
    PAYMENT,
    PURCHASE_ORDER,
    SALES_ORDER,
    STAFF,
    TRANSACTION,
)
from totesys.table import SourceTable
from totesys_simulation import reference_rows, words
from totesys_simulation.orders import Ids, OrderRows, delivery_day, purchase, sale
from totesys_simulation.reference_rows import Row

TRANSACTIONS_A_SECOND = 20
CHANGES_OF_AN_EVENT = 2  # on average: an order inserts three rows, everything else changes one
ROLLED_BACK = 0.06
WITH_SAVEPOINT = 0.06
LAST_UPDATED_FORGOTTEN = 0.05
RECENT = 2_000  # most changes are of about the last so many orders

REFERENCED = (ADDRESS, COUNTERPARTY, CURRENCY, DEPARTMENT, DESIGN, STAFF)
NUMBERED = (SALES_ORDER, PURCHASE_ORDER, PAYMENT)
INSERTED = (SALES_ORDER, PURCHASE_ORDER, TRANSACTION, PAYMENT, DESIGN)


@dataclass(frozen=True)
class Insert:
    """A new row, in the order of the declaration."""

    table: SourceTable
    row: Row


@dataclass(frozen=True)
class Update:
    """New values of a row, which may have been deleted."""

    table: SourceTable
    key: int
    values: dict[str, Any]


Change = Insert | Update


@dataclass(frozen=True)
class PlannedTransaction:
    """A transaction: `changes`, then `undone` after a savepoint that is rolled back, then commit or rollback."""

    changes: tuple[Change, ...]
    undone: tuple[Change, ...]
    commits: bool


@dataclass
class Keys:
    """The keys that rows can refer to, the last keys of the numbered tables, and reserved keys."""

    referenced: dict[str, list[int]]
    last: dict[str, int]
    free: dict[str, list[int]] = field(default_factory=lambda: {table.name: [] for table in INSERTED})

    def learn(self, planned: PlannedTransaction) -> None:
        """Add the keys that a committed transaction inserted."""
        for change in planned.changes:
            if isinstance(change, Insert) and change.table in NUMBERED:
                self.last[change.table.name] = max(self.last[change.table.name], change.row[0])
            elif isinstance(change, Insert) and change.table in REFERENCED:
                self.referenced[change.table.name].append(change.row[0])


class Decisions:
    """A sequence of transactions, determined by a seed and the known keys."""

    def __init__(self, seed: str, keys: Keys) -> None:
        self._random = Random(seed)
        self._keys = keys
        self._events: dict[Callable[[datetime], list[Change]], int] = {
            self._sale: 30,
            self._purchase: 14,
            self._payment_paid: 26,
            self._sale_postponed: 9,
            self._purchase_postponed: 5,
            self._new_design: 4,
            self._staff_moved: 2,
            self._department_moved: 1,
            self._address_changed: 2,
            self._contacts_changed: 2,
        }

    def events(self, rate: float) -> int:
        """How many events the next transaction has, for `rate` changed rows a second."""
        average = rate / TRANSACTIONS_A_SECOND / CHANGES_OF_AN_EVENT
        return max(1, round(average * self._random.uniform(0.5, 1.5)))

    def hold(self) -> float:
        """How many seconds the next long transaction stays open with its changes."""
        return self._random.uniform(2, 6)

    def transaction(self, now: datetime, events: int) -> PlannedTransaction:
        """The next transaction. Uses at most `events` + 1 free keys of a table."""
        return PlannedTransaction(
            changes=self._changes(now, events),
            undone=self._changes(now, 1) if self._chance(WITH_SAVEPOINT) else (),
            commits=not self._chance(ROLLED_BACK),
        )

    def _changes(self, now: datetime, events: int) -> tuple[Change, ...]:
        chosen = self._random.choices(tuple(self._events), tuple(self._events.values()), k=events)
        return tuple(change for event in chosen for change in event(now))

    def _sale(self, now: datetime) -> list[Change]:
        return _inserts(sale(self._random, self._keys.referenced, self._ids(SALES_ORDER), now))

    def _purchase(self, now: datetime) -> list[Change]:
        return _inserts(purchase(self._random, self._keys.referenced, self._ids(PURCHASE_ORDER), now))

    def _payment_paid(self, now: datetime) -> list[Change]:
        return self._update(PAYMENT, now, paid=True)

    def _sale_postponed(self, now: datetime) -> list[Change]:
        return self._update(SALES_ORDER, now, agreed_delivery_date=delivery_day(self._random, now))

    def _purchase_postponed(self, now: datetime) -> list[Change]:
        return self._update(PURCHASE_ORDER, now, agreed_delivery_date=delivery_day(self._random, now))

    def _new_design(self, now: datetime) -> list[Change]:
        return [Insert(DESIGN, (self._free(DESIGN), now, *reference_rows.design(self._random, now), now))]

    def _staff_moved(self, now: datetime) -> list[Change]:
        department = self._random.choice(self._keys.referenced[DEPARTMENT.name])
        return self._update(STAFF, now, department_id=department)

    def _department_moved(self, now: datetime) -> list[Change]:
        location, manager = self._random.choice(words.LOCATIONS), reference_rows.person(self._random)
        return self._update(DEPARTMENT, now, location=location, manager=manager)

    def _address_changed(self, now: datetime) -> list[Change]:
        return self._update(
            ADDRESS,
            now,
            address_line_1=reference_rows.street_address(self._random),
            address_line_2=self._random.choice(words.SECOND_LINES),
            phone=reference_rows.phone(self._random),
        )

    def _contacts_changed(self, now: datetime) -> list[Change]:
        commercial, delivery = reference_rows.person(self._random), reference_rows.contact(self._random)
        return self._update(COUNTERPARTY, now, commercial_contact=commercial, delivery_contact=delivery)

    def _update(self, table: SourceTable, now: datetime, **values: object) -> list[Change]:
        stamp = {} if self._chance(LAST_UPDATED_FORGOTTEN) else {"last_updated": now}
        return [Update(table, self._existing(table), {**values, **stamp})]

    def _existing(self, table: SourceTable) -> int:
        if table in REFERENCED:
            return self._random.choice(self._keys.referenced[table.name])
        return max(1, self._keys.last[table.name] - int(self._random.expovariate(1 / RECENT)))

    def _ids(self, table: SourceTable) -> Ids:
        return Ids(self._free(table), self._free(TRANSACTION), self._free(PAYMENT))

    def _free(self, table: SourceTable) -> int:
        return self._keys.free[table.name].pop()

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability


def _inserts(order: OrderRows) -> list[Change]:
    return [Insert(order.table, order.order), Insert(TRANSACTION, order.transaction), Insert(PAYMENT, order.payment)]

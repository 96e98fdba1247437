"""Which cases are measured at how many orders. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from bench.measurement import Case
from bench.sizes import Size

FRESHNESS_ORDERS = 1_000_000


@dataclass(frozen=True)
class Level:
    """A number of orders, and what is measured with a source of so many."""

    orders: int
    cases: frozenset[Case]


def levels(size: Size, cases: Collection[Case]) -> list[Level]:
    """The levels of a size that have one of these cases, ascending: the source only grows."""
    loads = {
        Case.FIRST_LOAD: {size.first_load_orders},
        Case.TICK: set(size.tick_orders),
        Case.MEMORY: set(size.memory_orders),
        Case.VERIFY: {size.first_load_orders},
    }
    grown = set().union(*loads.values())
    at = loads | {
        Case.STAGES: {size.stage_orders},
        Case.FRESHNESS: {min(grown, key=lambda orders: abs(orders - FRESHNESS_ORDERS))},
        # What the services use while nothing happens does not depend on the source.
        Case.START_AND_IDLE: {min(grown)},
    }
    planned = (
        Level(orders, frozenset(case for case in cases if orders in at[case]))
        for orders in sorted(set().union(*at.values()))
    )
    return [level for level in planned if level.cases]

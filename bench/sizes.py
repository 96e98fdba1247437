"""How much a run of the benchmark measures, and which cases at how many orders. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from bench.measurement import Case

FRESHNESS_ORDERS = 1_000_000


@dataclass(frozen=True)
class Size:
    """Orders are sales and purchases together; each has one transaction and one payment.

    `rounds` are those of the pipe and the system, in alternation; `peer_rounds` those of the much slower peers.
    """

    name: str
    about: str
    first_load_orders: int
    rounds: int
    student_orders: int
    tick_orders: tuple[int, ...]
    tick_rounds: int
    memory_orders: tuple[int, ...]
    stage_orders: int
    freshness_rate: float
    freshness_time: timedelta
    idle_time: timedelta
    peer_rounds: int = 1
    changed_rows: tuple[int, ...] = (0, 1_000, 100_000)


SMALL = Size(
    name="small",
    about="two or three minutes: whether everything runs",
    first_load_orders=50_000,
    rounds=1,
    student_orders=1_000,
    tick_orders=(50_000,),
    tick_rounds=1,
    changed_rows=(0, 1_000),
    memory_orders=(20_000, 50_000),
    stage_orders=50_000,
    freshness_rate=100,
    freshness_time=timedelta(seconds=15),
    idle_time=timedelta(seconds=25),
)
DEFAULT = Size(
    name="default",
    about="about ten minutes on two cores",
    first_load_orders=1_000_000,
    rounds=3,
    student_orders=10_000,
    tick_orders=(1_000_000,),
    tick_rounds=3,
    memory_orders=(200_000, 1_000_000),
    stage_orders=200_000,
    freshness_rate=200,
    freshness_time=timedelta(seconds=60),
    idle_time=timedelta(seconds=60),
)
FULL = Size(
    name="full",
    about="over an hour on two cores",
    first_load_orders=5_000_000,
    rounds=3,
    student_orders=20_000,
    tick_orders=(1_000_000, 5_000_000, 10_000_000),
    tick_rounds=5,
    memory_orders=(1_000_000, 10_000_000),
    stage_orders=1_000_000,
    freshness_rate=200,
    freshness_time=timedelta(minutes=10),
    idle_time=timedelta(minutes=3),
)
SIZES = {size.name: size for size in (SMALL, DEFAULT, FULL)}


@dataclass(frozen=True)
class SourceLevel:
    """A number of orders, and the cases that are measured with a source of that size."""

    orders: int
    cases: frozenset[Case]


def levels(size: Size, cases: Collection[Case]) -> list[SourceLevel]:
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
        # What idle services use does not depend on the source.
        Case.START_AND_IDLE: {min(grown)},
    }
    planned = (
        SourceLevel(orders, frozenset(case for case in cases if orders in at[case]))
        for orders in sorted(set().union(*at.values()))
    )
    return [level for level in planned if level.cases]

"""How much a call of the benchmark measures."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Size:
    """Orders are sales and purchases together; each has one transaction and one payment.

    `rounds` are of the pipe and the system, alternating; `peer_rounds` of whoever takes many times as long.
    """

    name: str
    about: str
    first_load_orders: int
    rounds: int
    peer_rounds: int
    student_orders: int
    tick_orders: tuple[int, ...]
    tick_rounds: int
    changed_rows: tuple[int, ...]
    memory_orders: tuple[int, ...]
    stage_orders: int
    freshness_rate: float
    freshness_time: timedelta
    idle_time: timedelta


SIZES = {
    size.name: size
    for size in (
        Size(
            name="small",
            about="two or three minutes: whether everything runs",
            first_load_orders=50_000,
            rounds=1,
            peer_rounds=1,
            student_orders=1_000,
            tick_orders=(50_000,),
            tick_rounds=1,
            changed_rows=(0, 1_000),
            memory_orders=(20_000, 50_000),
            stage_orders=50_000,
            freshness_rate=100,
            freshness_time=timedelta(seconds=15),
            idle_time=timedelta(seconds=25),
        ),
        Size(
            name="default",
            about="about ten minutes on two cores",
            first_load_orders=1_000_000,
            rounds=3,
            peer_rounds=1,
            student_orders=10_000,
            tick_orders=(1_000_000,),
            tick_rounds=3,
            changed_rows=(0, 1_000, 100_000),
            memory_orders=(200_000, 1_000_000),
            stage_orders=200_000,
            freshness_rate=200,
            freshness_time=timedelta(seconds=60),
            idle_time=timedelta(seconds=60),
        ),
        Size(
            name="full",
            about="over an hour on two cores",
            first_load_orders=5_000_000,
            rounds=3,
            peer_rounds=1,
            student_orders=20_000,
            tick_orders=(1_000_000, 5_000_000, 10_000_000),
            tick_rounds=5,
            changed_rows=(0, 1_000, 100_000),
            memory_orders=(1_000_000, 10_000_000),
            stage_orders=1_000_000,
            freshness_rate=200,
            freshness_time=timedelta(minutes=10),
            idle_time=timedelta(minutes=3),
        ),
    )
}

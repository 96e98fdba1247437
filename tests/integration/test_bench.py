"""The benchmark measures our system, and what the report looks for is what the cases record.

Without the peers, which need the dependency group `bench`, and so without ticks, in which one of them takes part.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from typing import NamedTuple

import pytest

from bench.bench_server import BenchServer
from bench.cases import load_speed
from bench.figures import Figures
from bench.measurement import (
    BOTH_SIDES,
    COUNT,
    DIFFERENT,
    EQUAL,
    LIMIT,
    PIPE,
    PRINT,
    STAR,
    TOTESYS,
    Case,
    Measurement,
)
from bench.results_page import section
from bench.runner import measure
from bench.sizes import Size
from bench.steps.meter import ROUNDS
from bench.targets import targets
from bench.trial import Trial
from totesys.log_events import LogEvent
from totesys.stage_names import STAGES

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ORDERS = 2_000
TINY = Size(
    name="tiny",
    about="whether our system is measured at all",
    first_load_orders=ORDERS,
    rounds=1,
    peer_rounds=1,
    student_orders=100,
    tick_orders=(ORDERS,),
    tick_rounds=1,
    changed_rows=(0,),
    memory_orders=(ORDERS,),
    stage_orders=ORDERS,
    freshness_rate=50,
    freshness_time=timedelta(seconds=2),
    idle_time=timedelta(seconds=1),
)


# Nothing is written in no time, so there is nothing whose freshness could be measured.
BROKEN = replace(TINY, freshness_time=timedelta(0))


class Measured(NamedTuple):
    figures: list[Measurement]
    failed: list[str]


async def _measure_ours(say: Callable[[str], None]) -> Measured:
    measured: list[Measurement] = []
    failed: list[str] = []

    def fail(_: str, error: Exception) -> None:
        raise error

    await measure(TINY, measured.append, say, fail, {Case.STAGES, Case.FRESHNESS})
    broken = {Case.FRESHNESS, Case.START_AND_IDLE, Case.VERIFY}
    await measure(BROKEN, measured.append, say, lambda what, _: failed.append(what), broken)
    async with BenchServer.opened() as server:
        await server.grow(ORDERS)
        trial = Trial(TINY, server, frozenset({Case.FIRST_LOAD, Case.MEMORY}), measured.append, say)
        async with load_speed.loaded(trial):
            pass
    return Measured(measured, failed)


def _run() -> Measured:
    return asyncio.run(_measure_ours(print))


@pytest.fixture(scope="module")
def outcome() -> Measured:
    """In a process of its own: the benchmark looks for the services and the emulator among its descendants."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(_run).result()


@pytest.fixture(scope="module")
def measured(outcome: Measured) -> list[Measurement]:
    return outcome.figures


def test_our_figures_are_of_verified_warehouses(measured: list[Measurement]) -> None:
    seconds = [
        one for one in measured if one.contender == TOTESYS and one.quantity == "seconds" and one.subject != DIFFERENT
    ]
    assert {one.case for one in seconds} == {Case.FIRST_LOAD, Case.FRESHNESS, Case.VERIFY}
    assert all(one.verified for one in seconds)
    assert all(one.verified is not False for one in measured)
    assert all(one.orders == ORDERS for one in measured)


def test_a_case_that_fails_costs_no_figures_but_its_own(outcome: Measured) -> None:
    assert outcome.failed == [Case.FRESHNESS]
    assert {one.case for one in outcome.figures} == set(Case) - {Case.TICK}


def test_every_service_is_measured_from_its_start_to_its_first_message(measured: list[Measurement]) -> None:
    done = {
        one.subject: one.value
        for one in measured
        if one.case == Case.START_AND_IDLE and one.quantity == f"seconds until {LogEvent.MESSAGE_PROCESSED}"
    }
    assert done.keys() == {f"{stage}, {how}" for stage in STAGES for how in ("alone", "with the others")}
    assert all(done.values())


def test_verification_is_measured_beside_what_bounds_it_over_the_same_rows(measured: list[Measurement]) -> None:
    seconds = [one for one in measured if one.case == Case.VERIFY and one.quantity == "seconds"]
    assert [(one.contender, one.subject) for one in seconds] == [
        (COUNT, BOTH_SIDES),
        (PRINT, BOTH_SIDES),
        (TOTESYS, EQUAL),
        (TOTESYS, DIFFERENT),
    ]
    (rows,) = {one.rows for one in seconds}
    assert rows
    assert rows > ORDERS
    text = section(Case.VERIFY, Figures(measured))
    assert all("×" in line for line in text.splitlines() if line.startswith(("| totesys", f"| {COUNT}", f"| {PRINT}")))


def test_every_step_is_measured_beside_its_limit_over_the_same_rows(measured: list[Measurement]) -> None:
    steps = [one for one in measured if one.case == Case.STAGES and one.quantity == "rows/s"]
    sides = {one.subject: {other.contender for other in steps if other.subject == one.subject} for one in steps}
    assert len(sides) == 10
    for contenders in sides.values():
        ours, limit = sorted(contenders, reverse=True)
        assert (ours, limit[: len(LIMIT)]) == (TOTESYS, LIMIT)
    assert len(steps) == len(sides) * 2 * ROUNDS
    (rows,) = {one.rows for one in steps}
    assert rows
    assert 0 < rows < ORDERS


def test_the_report_finds_its_targets_in_what_is_recorded(measured: list[Measurement]) -> None:
    found = {target.name for target in targets(Figures(measured))}
    assert found == {
        f"first load of {ORDERS:,} orders: {TOTESYS} / {PIPE}",
        *(f"memory of {stage}: {ORDERS:,} orders" for stage in STAGES),
        "freshness: p99",
    }
    assert {one.subject for one in measured if one.contender == PIPE and one.quantity == "rows/s"} == {STAR}

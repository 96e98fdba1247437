"""A report of the benchmark says what was measured, no more, and no better."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Figures, Series
from bench.history import HISTORY, read_history, record_full_run
from bench.machine import Machine
from bench.markdown import number
from bench.measurement import LIMIT, PIPE, SCAN, STAR, TOTESYS, Case, Measurement
from bench.results_file import Head, Results
from bench.results_page import report
from bench.targets import SpeedTarget, targets
from tests.examples import examples

MACHINE = Machine(
    cpu="A processor", cores=2, memory_bytes=2**33, system="Linux", python="3.11", postgres="18", libraries={}
)
HEAD = Head(started=datetime(2030, 1, 2, 3, 4, tzinfo=UTC), size="small", about="quick", durable=False, machine=MACHINE)
NAMES = st.sampled_from([TOTESYS, PIPE, SCAN, f"{LIMIT}a program", "dlt, pyarrow"])
MEASUREMENTS = st.builds(
    Measurement,
    case=st.sampled_from([case for case in Case if case is not Case.STAGES]),
    contender=NAMES,
    subject=st.sampled_from([STAR, "ingest", "p99", "1,000 changed rows"]),
    orders=st.sampled_from([1_000, 50_000]),
    quantity=st.sampled_from(["seconds", "rows/s", "peak MB", "CPU seconds"]),
    value=st.floats(0, 1e9),
    round=st.integers(1, 3),
    rows=st.none() | st.sampled_from([0, 1_000]),
    verified=st.none() | st.booleans(),
)


def loads(contender: str, *seconds: float, first_round: int = 1) -> list[Measurement]:
    return [
        Measurement(
            case=Case.FIRST_LOAD,
            contender=contender,
            subject=STAR,
            orders=1_000,
            quantity="seconds",
            value=value,
            round=place,
            verified=True,
        )
        for place, value in enumerate(seconds, first_round)
    ]


def tick(contender: str, seconds: float, orders: int, rows: int) -> Measurement:
    return Measurement(
        case=Case.TICK,
        contender=contender,
        subject=f"{rows:,} changed rows",
        orders=orders,
        quantity="seconds",
        value=seconds,
        rows=rows,
    )


def peak(stage: str, orders: int, megabytes: float) -> Measurement:
    return Measurement(
        case=Case.MEMORY, contender=TOTESYS, subject=stage, orders=orders, quantity="peak MB", value=megabytes
    )


def found(*measurements: Measurement) -> dict[str, SpeedTarget]:
    return {target.name: target for target in targets(Figures(measurements))}


def series(contender: str) -> Series:
    return Series(Case.FIRST_LOAD, STAR, 1_000, contender, "seconds")


def test_a_figure_is_the_median_of_its_rounds_between_the_least_and_the_greatest() -> None:
    figures = Figures(loads(TOTESYS, 5, 1, 2))
    spread = figures.spread(series(TOTESYS))
    assert (spread.median, spread.least, spread.greatest, spread.rounds) == (2, 1, 5, 3)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The machine was slow in the second round: the ratio of the medians would be 12 / 9.
    figures = Figures([*loads(TOTESYS, 12, 60, 9), *loads(PIPE, 6, 40, 9)])
    assert figures.ratio(series(TOTESYS), series(PIPE)) == 1.5


def test_a_round_that_only_one_side_had_is_in_no_ratio() -> None:
    figures = Figures([*loads(TOTESYS, 100, 4), *loads(PIPE, 2, 7, first_round=2)])
    assert figures.ratio(series(TOTESYS), series(PIPE)) == 2
    assert figures.ratio(series(TOTESYS), series("nobody")) is None


@pytest.mark.parametrize(("seconds", "met"), [(0.99, True), (1.0, True), (1.01, False)])
def test_a_target_that_is_missed_is_said_to_be_missed(seconds: float, met: bool) -> None:
    measurements = [*loads(TOTESYS, seconds), *loads(PIPE, 1)]
    (target,) = found(*measurements).values()
    assert target.met is met
    (line,) = (line for line in report(Results(head=HEAD, measurements=measurements)).splitlines() if "≤" in line)
    assert ("missed" in line) is not met


def test_an_idle_tick_is_judged_by_the_scan_of_its_own_size_and_a_busy_one_at_the_largest() -> None:
    measurements = [
        tick(who, seconds * orders / 1_000, orders, rows)
        for orders in (1_000, 10_000)
        for rows in (0, 1_000)
        for who, seconds in ((SCAN, 0.1), (TOTESYS, 0.2 + rows / 10_000))
    ]
    judged = {name: (target.figure, target.met) for name, target in found(*measurements).items()}
    assert judged == {
        f"tick of 1,000 orders, nothing changed: {TOTESYS} / {SCAN}": (2.0, True),
        f"tick of 10,000 orders, nothing changed: {TOTESYS} / {SCAN}": (2.0, True),
        "tick of 10,000 orders, 1,000 changed rows: from the trigger until visible": (pytest.approx(3.0), False),
    }


def test_memory_is_judged_by_its_growth_and_at_the_larger_size() -> None:
    judged = found(peak("load", 1_000, 280), peak("load", 9_000, 320), peak("ingest", 1_000, 600))
    assert {name: target.met for name, target in judged.items()} == {
        "memory of load: 9,000 orders / 1,000": False,
        "memory of load: 9,000 orders": True,
        "memory of ingest: 1,000 orders": False,
    }


@examples(100)
@given(measurements=st.lists(MEASUREMENTS, max_size=30), complete=st.booleans())
def test_whatever_was_measured_has_its_section_and_nothing_else_has(
    measurements: list[Measurement], complete: bool
) -> None:
    text = report(Results(head=HEAD, complete=complete, measurements=measurements))
    assert {line for line in text.splitlines() if line.startswith("## ") and line != "## Targets"} == {
        f"## {measurement.case.capitalize()}" for measurement in measurements
    }
    assert ("ended early" in text) is not complete
    assert ("differs from its source" in text) is any(measurement.verified is False for measurement in measurements)


def test_what_failed_is_said_with_its_reason() -> None:
    results = Results(head=HEAD, complete=True, failures=["tick: WrongResult: one row differs"])
    assert "Failed, so its figures are missing: tick: WrongResult: one row differs" in report(results)


@examples(100)
@given(measurements=st.lists(MEASUREMENTS, min_size=1, max_size=30))
def test_every_row_of_a_table_has_a_cell_for_each_column(measurements: list[Measurement]) -> None:
    lines = report(Results(head=HEAD, measurements=measurements)).splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")


def test_a_step_is_shown_beside_its_own_limit() -> None:
    measurements = [
        Measurement(
            case=Case.STAGES, contender=who, subject="encode", orders=1_000, quantity="rows/s", value=rate, round=number
        )
        for number, rates in ((1, (100.0, 300.0)), (2, (50.0, 200.0)), (3, (100.0, 200.0)))
        for who, rate in zip((TOTESYS, f"{LIMIT}a program"), rates, strict=True)
    ]
    text = report(Results(head=HEAD, measurements=measurements))
    assert "| encode | a program | 100 (50–100) | 200 (200–300) | 3× |" in text


@given(value=st.floats(0.001, 1e12))
@examples(200)
def test_a_number_is_true_to_three_digits(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=0.005)


@examples(50)
@given(measurements=st.lists(MEASUREMENTS, max_size=10))
def test_results_are_read_back_as_they_were_written(measurements: list[Measurement]) -> None:
    results = Results(head=HEAD, complete=True, measurements=measurements)
    assert Results.model_validate_json(results.model_dump_json()) == results


def test_each_full_run_adds_a_line_of_ratios_and_other_runs_none(tmp_path: Path) -> None:
    measurements = [*loads(TOTESYS, 9), *loads(PIPE, 10), peak("load", 1_000, 300)]
    full = Results(head=HEAD.model_copy(update={"size": "full"}), complete=True, measurements=measurements)
    record_full_run(tmp_path, full)
    record_full_run(tmp_path, full)
    for other in ({"complete": False}, {"head": HEAD}):
        record_full_run(tmp_path, full.model_copy(update=other))
    runs = read_history(tmp_path)
    assert [run.ratios for run in runs] == [{f"first load of 1,000 orders: {TOTESYS} / {PIPE}": 0.9}] * 2
    assert len((tmp_path / HISTORY).read_text().splitlines()) == 4

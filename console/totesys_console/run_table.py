"""Runs as rows of a table, with a bar for each stage, and what they have in quarantine. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys.service.runs import RunDetail, StageState
from totesys.stage_names import STAGES
from totesys_console.facts import LakeFacts
from totesys_console.wording import Timestamp, span, timestamp

# The width of the bar of a stage that took no time, in hundredths.
_LEAST_BAR = 3


@dataclass(frozen=True)
class StageCell:
    """A stage of a run. `bar` is how long it took, in hundredths of the longest on the page."""

    stage: str
    state: str
    text: str
    bar: int


@dataclass(frozen=True)
class StageFailure:
    """Why a stage failed, and when."""

    stage: str
    at: Timestamp
    detail: str


@dataclass(frozen=True)
class RunRow:
    """A run as a row of the table."""

    run: int
    snapshot: Timestamp
    trigger: str
    cells: tuple[StageCell, ...]
    rows: str
    quarantined: str
    latency: str
    failures: tuple[StageFailure, ...]


@dataclass(frozen=True)
class QuarantinedSummary:
    """The quarantined rows of a table in some runs: how many, why, and in which runs."""

    name: str
    rows: int
    reasons: tuple[str, ...]
    runs: tuple[int, ...]


def run_rows(lake: LakeFacts, now: datetime, working: Collection[str]) -> tuple[RunRow, ...]:
    """The rows of a page of runs; `working` are the stages that are working."""
    longest = max((state.seconds or 0 for run in lake.shown for state in run.stages.values()), default=0)
    in_progress = {stage: _oldest_waiting(lake.newest, stage) for stage in working}
    return tuple(
        run_row(run, now, longest, {stage for stage, first in in_progress.items() if first == run.run})
        for run in lake.shown
    )


def _oldest_waiting(runs: Sequence[RunDetail], stage: str) -> int | None:
    return min((run.run for run in runs if stage in run.stages and run.stages[stage].state == "waiting"), default=None)


def run_row(run: RunDetail, now: datetime, longest: float = 0, working: Collection[str] = ()) -> RunRow:
    """The row of a run. The widest bar stands for `longest` seconds; the stages in `working` are working on the run."""
    ingest = run.stages["ingest"]
    quarantined = sum(state.quarantined for state in run.stages.values())
    return RunRow(
        run=run.run,
        snapshot=timestamp(run.snapshot_time, now),
        trigger=run.trigger,
        cells=tuple(_cell(stage, run.stages.get(stage), longest, stage in working) for stage in STAGES),
        rows=f"{ingest.rows:,}" if ingest.state != "empty" else "",
        quarantined=f"{quarantined:,}" if quarantined else "",
        latency=span(run.freshness) if run.freshness is not None else "",
        failures=tuple(
            StageFailure(stage, timestamp(state.error.failed_at, now), state.error.detail)
            for stage, state in run.stages.items()
            if state.error is not None
        ),
    )


def _cell(stage: str, state: StageState | None, longest: float, working: bool) -> StageCell:
    if state is None:
        return StageCell(stage, "none", "", 0)
    if state.state == "empty":
        return StageCell(stage, "empty", "no changes", 0)
    if state.state == "done":
        share = round(100 * (state.seconds or 0) / longest) if longest else 0
        return StageCell(stage, "done", span(state.seconds or 0), max(_LEAST_BAR, share))
    if working and state.state == "waiting":
        return StageCell(stage, "working", "working", 100)
    return StageCell(stage, state.state, state.state, 100 if state.state == "failed" else 0)


def quarantined(runs: Sequence[RunDetail]) -> tuple[QuarantinedSummary, ...]:
    """The quarantined rows of the runs, by table, with the most frequent reasons first."""
    rows: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {}
    of: dict[str, list[int]] = {}
    for run in runs:
        for table, count in run.quarantined_rows.items():
            rows[table] += count
            of.setdefault(table, []).append(run.run)
            reasons.setdefault(table, Counter()).update(run.quarantine_reasons(table))
    return tuple(
        QuarantinedSummary(
            table,
            rows[table],
            tuple(f"{count:,} × {reason}" for reason, count in reasons[table].most_common()),
            tuple(of[table]),
        )
        for table in sorted(rows)
    )

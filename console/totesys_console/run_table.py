"""Runs as lines of a table, with a bar for each stage. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys.service.runs import RunDetail, StageState
from totesys.stage_names import STAGES
from totesys_console.attention import next_after
from totesys_console.facts import LakeFacts
from totesys_console.wording import Moment, span, stamp

# What a bar of a stage that took no time is still wide, in hundredths.
_LEAST_BAR = 3


@dataclass(frozen=True)
class Cell:
    """A stage of a run. `bar` is how long it took, in hundredths of the longest on the page."""

    stage: str
    state: str
    text: str
    bar: int


@dataclass(frozen=True)
class Why:
    """Why a stage failed, when, and what happens next."""

    stage: str
    at: Moment
    says: str
    next: str


@dataclass(frozen=True)
class Row:
    """A run as a line of the table."""

    run: int
    snapshot: Moment
    trigger: str
    cells: tuple[Cell, ...]
    rows: str
    quarantined: str
    visible_after: str
    failures: tuple[Why, ...]


def rows(runs: LakeFacts, now: datetime, working: Collection[str]) -> tuple[Row, ...]:
    """The runs of a page; `working` are the stages that are at work."""
    longest = max((state.seconds or 0 for run in runs.shown for state in run.stages.values()), default=0)
    next_of = {stage: _next_waiting(runs.newest, stage) for stage in working}
    return tuple(
        row(run, now, longest, {stage for stage, first in next_of.items() if first == run.run}) for run in runs.shown
    )


def _next_waiting(runs: Sequence[RunDetail], stage: str) -> int | None:
    """The run that a stage which is at work is at: the oldest that it has not done."""
    return min((run.run for run in runs if stage in run.stages and run.stages[stage].state == "waiting"), default=None)


def row(run: RunDetail, now: datetime, longest: float = 0, working: Collection[str] = ()) -> Row:
    """A run's line. The widest bar stands for `longest` seconds; `working` are the stages that are at it."""
    ingest = run.stages["ingest"]
    quarantined = sum(state.quarantined for state in run.stages.values())
    return Row(
        run=run.run,
        snapshot=stamp(run.snapshot_time, now),
        trigger=run.trigger,
        cells=tuple(_cell(stage, run.stages.get(stage), longest, stage in working) for stage in STAGES),
        rows=f"{ingest.rows:,}" if ingest.state != "empty" else "",
        quarantined=f"{quarantined:,}" if quarantined else "",
        visible_after=span(run.freshness) if run.freshness is not None else "",
        failures=tuple(
            Why(stage, stamp(state.error.failed_at, now), state.error.detail, next_after(state.error))
            for stage, state in run.stages.items()
            if state.error is not None
        ),
    )


def _cell(stage: str, state: StageState | None, longest: float, working: bool) -> Cell:
    if state is None:
        return Cell(stage, "none", "", 0)
    if state.state == "empty":
        return Cell(stage, "empty", "nothing new", 0)
    if state.state == "done":
        share = round(100 * (state.seconds or 0) / longest) if longest else 0
        return Cell(stage, "done", span(state.seconds or 0), max(_LEAST_BAR, share))
    if working and state.state == "waiting":
        return Cell(stage, "working", "working", 100)
    return Cell(stage, state.state, state.state, 100 if state.state == "failed" else 0)

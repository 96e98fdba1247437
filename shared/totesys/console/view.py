"""The page, as the template writes it down: everything is decided here. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from totesys.console.facts import PAGE, Facts
from totesys.console.freshness import PROMISE, Line, ages, draw, fresh_as_of
from totesys.console.quarantined import Quarantined, quarantined
from totesys.console.records import STAGES
from totesys.console.stages import StageView, stage_views
from totesys.console.wording import age, counted, moment, span
from totesys.lake.records import VerificationRecord
from totesys.service.runs import RunDetail, StageState

# What a bar of a stage that took no time is still wide, in hundredths.
_LEAST_BAR = 3


@dataclass(frozen=True)
class Moment:
    """A moment, for a person and for a machine."""

    text: str
    iso: str


@dataclass(frozen=True)
class Fresh:
    """How fresh the warehouse is. `state` is `kept`, `broken` or `none`."""

    state: str
    age: str
    verdict: str
    as_of: Moment | None
    line: Line | None
    line_says: str


@dataclass(frozen=True)
class Cell:
    """A stage of a run. `bar` is how long it took, in hundredths of the longest on the page."""

    stage: str
    state: str
    text: str
    bar: int


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
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Wrong:
    """A row that the last verification found wrong."""

    table: str
    key: str
    says: str


@dataclass(frozen=True)
class Verified:
    """What the last verification found. `state` is `equal` or `wrong`."""

    state: str
    says: str
    at: Moment
    took: str
    run: int | None
    wrong: tuple[Wrong, ...]


@dataclass(frozen=True)
class Page:
    """The whole page. `news` is what a screen reader is told when it changes."""

    service: str
    now: Moment
    news: str
    fresh: Fresh
    stages: tuple[StageView, ...]
    rows: tuple[Row, ...]
    first_page: bool
    older: int | None
    verified: Verified | None
    quarantined: tuple[Quarantined, ...]


def page(facts: Facts) -> Page:
    """The page that says the facts."""
    stages = stage_views(facts)
    working = {view.stage for view in stages if view.state == "working"}
    fresh = _fresh(facts)
    lowest = min((run.run for run in facts.shown), default=1)
    return Page(
        service=facts.service,
        now=_moment(facts.now, facts.now),
        news=_news(facts, stages),
        fresh=fresh,
        stages=stages,
        rows=_rows(facts, working),
        first_page=facts.before is None or facts.before > facts.last,
        older=lowest if lowest > 1 else None,
        verified=_verified(facts.verification, facts.now) if facts.verification else None,
        quarantined=quarantined(facts.shown),
    )


def _moment(time: datetime, now: datetime) -> Moment:
    return Moment(moment(time, now), time.astimezone(UTC).isoformat(timespec="seconds"))


def _fresh(facts: Facts) -> Fresh:
    visible, now = facts.recent.before_undone, facts.now
    as_of = fresh_as_of(visible)
    corners = ages(visible, now)
    line = draw(corners, now)
    if as_of is None:
        on_its_way = "The first run is on its way." if facts.recent.undone else "Nothing is in the warehouse yet."
        return Fresh("none", "", on_its_way, None, None, "")
    seconds = (now - as_of).total_seconds()
    kept = seconds <= PROMISE.total_seconds()
    promise = f"the {PROMISE.total_seconds() / 60:.0f} minutes promised"
    return Fresh(
        state="kept" if kept else "broken",
        age=age(seconds),
        verdict=f"within {promise}" if kept else f"over {promise}",
        as_of=_moment(as_of, now),
        line=line,
        line_says=_line_says(line, now) if line else "",
    )


def _line_says(line: Line, now: datetime) -> str:
    worst = f"At most {age(line.worst.seconds)} old, at {moment(line.worst.at, now)}"
    since = f" since {moment(line.since, now)}"
    broken = f"over the promise for {span(line.broken_seconds)}" if line.broken_seconds else "never over the promise"
    return f"{worst}; {broken}{since}."


def _rows(facts: Facts, working: set[str]) -> tuple[Row, ...]:
    longest = max((state.seconds or 0 for run in facts.shown for state in run.stages.values()), default=0)
    next_of = {stage: _next_waiting(facts.newest, stage) for stage in working}
    return tuple(
        row(run, facts.now, longest, {stage for stage, first in next_of.items() if first == run.run})
        for run in facts.shown
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
        snapshot=_moment(run.snapshot_time, now),
        trigger=run.trigger,
        cells=tuple(_cell(stage, run.stages.get(stage), longest, stage in working) for stage in STAGES),
        rows=f"{ingest.rows:,}" if ingest.state != "empty" else "",
        quarantined=f"{quarantined:,}" if quarantined else "",
        visible_after=span(run.freshness) if run.freshness is not None else "",
        failures=tuple(
            f"{stage}: {state.error.detail}" for stage, state in run.stages.items() if state.error is not None
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


def _verified(record: VerificationRecord, now: datetime) -> Verified:
    rows = sum(table.compared for table in record.tables.values())
    wrong = rows - sum(table.equal for table in record.tables.values())
    says = (
        f"All {rows:,} rows equal the source, in every column."
        if record.equal
        else f"{counted(wrong, 'row')} of {rows:,} {'is' if wrong == 1 else 'are'} not what the source says."
    )
    named = [
        Wrong(name, row.key, ", ".join((row.verdict, *row.columns)))
        for name, table in record.tables.items()
        for row in table.wrong
    ]
    return Verified(
        state="equal" if record.equal else "wrong",
        says=says,
        at=_moment(record.started_at, now),
        took=span(record.seconds),
        run=record.run,
        wrong=tuple(named[:PAGE]),
    )


def _news(facts: Facts, stages: Sequence[StageView]) -> str:
    """What has happened, without what changes by itself."""
    visible = facts.recent.before_undone
    said = [f"Run {visible[-1].run} is in the warehouse." if visible else "Nothing is in the warehouse yet."]
    said += [f"{view.title} is {view.says}." for view in stages if view.state in {"working", "failed"}]
    dead = sum(view.dead or 0 for view in stages)
    if dead:
        said.append(f"{counted(dead, 'dead letter')}.")
    return " ".join(said)

"""The page, as the template writes it down: everything is decided here. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys.lake.records import VerificationRecord
from totesys_console.attention import Problem, problems
from totesys_console.facts import PAGE, Facts
from totesys_console.freshness_chart import PROMISE, Line, ages, draw, fresh_as_of
from totesys_console.quarantined import Quarantined, quarantined
from totesys_console.run_table import Row, rows
from totesys_console.stage_status import StageView, stage_views
from totesys_console.wording import Moment, age, counted, moment, span, stamp


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
    problems: tuple[Problem, ...]
    fresh: Fresh
    stages: tuple[StageView, ...]
    rows: tuple[Row, ...]
    first_page: bool
    older: int | None
    verified: Verified | None
    quarantined: tuple[Quarantined, ...]
    runs_known: bool
    verification_known: bool


def page(facts: Facts) -> Page:
    """The page that says the facts."""
    stages = stage_views(facts)
    working = {view.stage for view in stages if view.state == "working"}
    wrong = problems(facts, stages)
    lowest = min((run.run for run in facts.lake.shown), default=1)
    return Page(
        service=facts.service,
        now=stamp(facts.now, facts.now),
        news=_news(facts, stages, wrong),
        problems=wrong,
        fresh=_fresh(facts),
        stages=stages,
        rows=rows(facts.lake, facts.now, working),
        first_page=facts.before is None or facts.before > facts.lake.last,
        older=lowest if lowest > 1 else None,
        verified=_verified(facts.verification, facts.now) if facts.verification else None,
        quarantined=quarantined(facts.lake.shown),
        runs_known=not facts.lake_fault,
        verification_known=not facts.verification_fault,
    )


def _fresh(facts: Facts) -> Fresh:
    if facts.lake_fault:
        return Fresh("none", "", "Not known: the lake cannot be read.", None, None, "")
    visible, now = facts.lake.recent.before_undone, facts.now
    as_of = fresh_as_of(visible)
    corners = ages(visible, now)
    line = draw(corners, now)
    if as_of is None:
        on_its_way = "The first run is on its way." if facts.lake.recent.undone else "Nothing is in the warehouse yet."
        return Fresh("none", "", on_its_way, None, None, "")
    seconds = (now - as_of).total_seconds()
    kept = seconds <= PROMISE.total_seconds()
    promise = f"the {PROMISE.total_seconds() / 60:.0f} minutes promised"
    return Fresh(
        state="kept" if kept else "broken",
        age=age(seconds),
        verdict=f"within {promise}" if kept else f"over {promise}",
        as_of=stamp(as_of, now),
        line=line,
        line_says=_line_says(line, now) if line else "",
    )


def _line_says(line: Line, now: datetime) -> str:
    worst = f"At most {age(line.worst.seconds)} old, at {moment(line.worst.at, now)}"
    since = f" since {moment(line.since, now)}"
    broken = f"over the promise for {span(line.broken_seconds)}" if line.broken_seconds else "never over the promise"
    return f"{worst}; {broken}{since}."


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
        at=stamp(record.started_at, now),
        took=span(record.seconds),
        run=record.run,
        wrong=tuple(named[:PAGE]),
    )


def _news(facts: Facts, stages: Sequence[StageView], wrong: Sequence[Problem]) -> str:
    """What has happened, without what changes by itself."""
    visible = facts.lake.recent.before_undone
    said = []
    if not facts.lake_fault:
        said.append(f"Run {visible[-1].run} is in the warehouse." if visible else "Nothing is in the warehouse yet.")
    said += [f"{view.title} is {view.says}." for view in stages if view.state == "working"]
    said += [f"{problem.what}." for problem in wrong]
    return " ".join(said)

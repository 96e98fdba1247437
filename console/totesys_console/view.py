"""The home page as a model that its template only writes out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from totesys.lake.records import VerificationRecord
from totesys_console.attention import Item, attention
from totesys_console.facts import PAGE, Facts
from totesys_console.freshness_chart import PROMISE, FreshnessChart, ages, draw, fitting_window, fresh_as_of
from totesys_console.page_query import WINDOWS, PageQuery, Show, Window
from totesys_console.run_table import QuarantinedSummary, RunRow, quarantined, run_rows
from totesys_console.stage_status import StageCard, stage_statuses
from totesys_console.table_trend import TableTrend, table_trends
from totesys_console.wording import Timestamp, age, clock, counted, span, timestamp


@dataclass(frozen=True)
class Freshness:
    """How fresh the warehouse is.

    `state` is `kept` (within the promise), `risk` (still within it, but no newer data arrives), `broken` or `none`.
    """

    state: str
    age: str
    verdict: str
    as_of: Timestamp | None = None
    chart: FreshnessChart | None = None
    caption: str = ""


@dataclass(frozen=True)
class ShownDifference:
    """A row that the last verification found wrong."""

    table: str
    key: str
    difference: str


@dataclass(frozen=True)
class LastVerification:
    """The result of the last verification. `state` is `equal` or `wrong`."""

    state: str
    result: str
    at: Timestamp
    took: str
    run: int | None
    wrong: tuple[ShownDifference, ...]


@dataclass(frozen=True)
class HomePage:
    """The home page. A screen reader reads `news` out when it changes.

    `newest`, `older` and `all_dates` are addresses of pages of runs, `shows` those of each filter, and `windows` those
    of each time that the charts cover.
    """

    service: str
    now: Timestamp
    news: str
    attention: tuple[Item, ...]
    freshness: Freshness
    stages: tuple[StageCard, ...]
    tables: tuple[TableTrend, ...]
    window: Window
    windows: Mapping[Window, str]
    runs: tuple[RunRow, ...]
    query: PageQuery
    shows: Mapping[Show, str]
    first_page: bool
    newest: str
    older: str | None
    all_dates: str
    any_runs: bool
    verification: LastVerification | None
    quarantined: tuple[QuarantinedSummary, ...]
    runs_known: bool
    verification_known: bool


def home_page(facts: Facts) -> HomePage:
    """The home page that shows the facts."""
    stages = stage_statuses(facts)
    items = attention(facts, stages)
    query, visible = facts.query, facts.lake.recent.before_pending
    window = query.window or fitting_window(visible, facts.now)
    return HomePage(
        service=facts.service,
        now=timestamp(facts.now, facts.now),
        news=_news(facts, stages, items),
        attention=items,
        freshness=_freshness(facts, window, stopped=any(item.stops for item in items)),
        stages=stages,
        tables=table_trends(visible, facts.now, WINDOWS[window]),
        window=window,
        windows={one: query.url(window=one) for one in WINDOWS},
        runs=run_rows(facts.lake, facts.now, {status.stage for status in stages if status.state == "working"}),
        query=query,
        shows={one: query.url(show=one, before=None) for one in get_args(Show)},
        first_page=query.before is None or query.before > facts.lake.last,
        newest=query.url(before=None),
        older=query.url(before=facts.lake.older) if facts.lake.older else None,
        all_dates=query.url(on=None, before=None),
        any_runs=bool(facts.lake.last),
        verification=_verification(facts.verification, facts.now) if facts.verification else None,
        quarantined=quarantined(facts.lake.shown),
        runs_known=not facts.lake_fault,
        verification_known=not facts.verification_fault,
    )


def _freshness(facts: Facts, window: Window, *, stopped: bool) -> Freshness:
    if facts.lake_fault:
        return Freshness("none", "", "Unknown: the lake cannot be read.")
    visible, now = facts.lake.recent.before_pending, facts.now
    as_of = fresh_as_of(visible)
    if as_of is None:
        first = "The first run is in progress." if facts.lake.recent.pending else "The warehouse is empty."
        return Freshness("none", "", first)
    seconds = (now - as_of).total_seconds()
    minutes = f"{PROMISE.total_seconds() / 60:.0f} minutes"
    if seconds > PROMISE.total_seconds():
        state, verdict = "broken", f"over the {minutes} promised"
    elif stopped:
        state, verdict = "risk", "no newer data is arriving"
    else:
        state, verdict = "kept", f"within the {minutes} promised"
    chart = draw(ages(visible, now, WINDOWS[window]), now, window)
    return Freshness(state, age(seconds), verdict, timestamp(as_of, now), chart, _caption(chart, now) if chart else "")


def _caption(chart: FreshnessChart, now: datetime) -> str:
    worst = f"At most {age(chart.worst.seconds)} old, at {clock(chart.worst.at, now)}"
    over = f"over the promise for {span(chart.over_seconds)}" if chart.over_seconds else "never over the promise"
    return f"{worst}; {over} since {clock(chart.since, now)}."


def _verification(record: VerificationRecord, now: datetime) -> LastVerification:
    rows = sum(table.compared for table in record.tables.values())
    wrong = rows - sum(table.equal for table in record.tables.values())
    result = (
        f"All {rows:,} rows equal the source, in every column."
        if record.equal
        else f"{counted(wrong, 'row')} of {rows:,} {'differs' if wrong == 1 else 'differ'} from the source."
    )
    named = [
        ShownDifference(name, row.key, ", ".join((row.verdict, *row.columns)))
        for name, table in record.tables.items()
        for row in table.wrong
    ]
    return LastVerification(
        state="equal" if record.equal else "wrong",
        result=result,
        at=timestamp(record.started_at, now),
        took=span(record.seconds),
        run=record.run,
        wrong=tuple(named[:PAGE]),
    )


def _news(facts: Facts, stages: Sequence[StageCard], items: Sequence[Item]) -> str:
    """What has happened, without what changes with time alone."""
    visible = facts.lake.recent.before_pending
    news = []
    if not facts.lake_fault:
        news.append(f"Run {visible[-1].run} is in the warehouse." if visible else "The warehouse is empty.")
    news += [f"{status.title} is {status.text}." for status in stages if status.state == "working"]
    news += [f"{item.what}." for item in items]
    return " ".join(news)

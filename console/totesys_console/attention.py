"""What needs attention: what is wrong, why, and what to do. An operator woken at night reads this first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys.lake.records import Failure
from totesys.transactions import LONG_OPEN
from totesys_console.facts import PAGE, Facts
from totesys_console.freshness_chart import PROMISE, fresh_as_of
from totesys_console.run_table import quarantined
from totesys_console.stage_queues import FailureReason
from totesys_console.stage_status import StageCard
from totesys_console.wording import clock, counted, joined

MOST_REASONS = 3


@dataclass(frozen=True)
class Link:
    """A link to more about an item."""

    to: str
    text: str


@dataclass(frozen=True)
class Item:
    """Something that needs attention. `what` doesn't change with time alone: a screen reader reads it out.

    `why` are the reasons, the newest first. `stops` says that it keeps newer data from the warehouse.
    """

    what: str
    why: tuple[str, ...]
    next: str
    links: tuple[Link, ...] = ()
    stops: bool = False


def attention(facts: Facts, statuses: Sequence[StageCard]) -> tuple[Item, ...]:
    """All that needs attention, first what hides the rest."""
    return (
        *_unreadable(facts),
        *_own_service(facts),
        *(item for status in statuses for item in _stopped(facts, status)),
        *_no_run(facts, statuses),
        *(item for status in statuses for item in _dead_letters(facts, status)),
        *_differences(facts),
        *_quarantine(facts),
        *_open_transaction(facts),
    )


def next_after(failure: Failure) -> str:
    """What happens after a stage failed on a run, and what to do."""
    stage = failure.stage
    if failure.transient:
        return f"It may pass by itself: {stage} retries within minutes."
    then = "No later run is loaded until then." if stage == "load" else "Later runs go on, but load waits for this one."
    return f"Fix the cause: {stage} retries with each message, and every few minutes without one. {then}"


def _unreadable(facts: Facts) -> Iterator[Item]:
    if facts.lake_fault:
        yield Item(
            "The lake cannot be read",
            (facts.lake_fault,),
            "Freshness, runs and quarantine are unknown until then. The rest of this page is current.",
        )
    elif facts.verification_fault:
        yield Item(
            "The last verification cannot be read", (facts.verification_fault,), "The rest of this page is current."
        )
    down = [stage for stage, queue in facts.queues.items() if queue.down]
    if down:
        yield Item(
            f"The {'queue' if len(down) == 1 else 'queues'} of {joined(down)} cannot be read",
            (facts.queues[down[0]].fault,),
            "The messages and dead letters there are unknown. No data is lost: the lake shows what is pending.",
        )


def _own_service(facts: Facts) -> Iterator[Item]:
    title, own = facts.service.capitalize(), facts.own
    if own.fault:
        next_ = "Restart the service, unless a health check does."
        yield Item(f"{title} receives no messages", (own.fault,), next_, stops=True)
    shown = {"lake"} if facts.lake_fault else set()
    if facts.service in facts.queues and facts.queues[facts.service].down:
        shown.add("queue")
    for name, fault in own.waits_for.items():
        if name not in shown:
            next_ = "It checks again every few seconds and continues by itself. No data is lost."
            yield Item(f"{title} waits for the {name}", (fault,), next_, stops=True)
    if own.database_fault and own.database not in own.waits_for:
        next_ = f"Nothing waits for it yet. The next work of {facts.service} will."
        yield Item(f"The {own.database} is unavailable", (own.database_fault,), next_, stops=True)


def _stopped(facts: Facts, status: StageCard) -> Iterator[Item]:
    if status.failed:
        run, failure = status.failed.run, status.failed.failure
        yield Item(
            f"{status.title} failed on run {run}",
            (f"{clock(failure.failed_at, facts.now)} UTC: {failure.detail}",) if failure else (),
            next_after(failure) if failure else "",
            (Link(f"/console/runs/{run}", f"Run {run}, table by table"),),
            stops=True,
        )
    if status.late:
        yield Item(
            f"{status.title} has not started run {status.late.run}",
            (f"It could have since {clock(status.late.since, facts.now)} UTC.", *_own_failure(facts, status.stage)),
            _where_to_look(facts, status.stage),
            stops=True,
        )


def _no_run(facts: Facts, statuses: Sequence[StageCard]) -> Iterator[Item]:
    """Nothing is pending and yet the warehouse is old, or ingest fails: no run comes."""
    ingest, as_of = statuses[0], fresh_as_of(facts.lake.recent.visible)
    if refusal := ingest.refusal:
        yield Item(
            f"Ingest failed {_times(refusal, facts.now)}",
            (refusal.text,),
            "Fix the cause: ingest tries again at the next tick. Then discard the dead letters.",
            (_redrive(ingest),),
            stops=True,
        )
        return
    failure = _own_failure(facts, "ingest")
    old = as_of is not None and facts.now - as_of > PROMISE and not facts.lake.recent.pending
    if ingest.state in {"working", "blocked"} or not (old or (failure and ingest.queue.dead is None)):
        return
    since = f"since {clock(as_of, facts.now)} UTC" if as_of else "yet"
    next_ = f"Check that the schedule fires. {_where_to_look(facts, 'ingest')} “Run now” triggers a run."
    yield Item(f"Ingest has committed no run {since}", failure, next_, stops=True)


def _dead_letters(facts: Facts, status: StageCard) -> Iterator[Item]:
    count = status.queue.dead_letters
    if not count or status.refusal:
        return
    yield Item(
        f"{counted(count, 'dead letter')} of {status.stage}",
        _few([f"{_count(one, facts.now)}: {one.text}" for one in status.queue.reasons]),
        "A dead letter holds a trigger, not data. Fix the cause, then redrive it, or discard it.",
        (_redrive(status),),
    )


def _redrive(status: StageCard) -> Link:
    return Link(f"/console/actions/redrive?stage={status.stage}", f"Dead letters of {status.stage}")


def _times(reason: FailureReason, now: datetime) -> str:
    if reason.letters == 1:
        return f"at {clock(reason.last, now)} UTC"
    return f"{reason.letters:,} times since {clock(reason.times[0], now)} UTC"


def _count(reason: FailureReason, now: datetime) -> str:
    since = f"since {clock(reason.times[0], now)} UTC" if reason.letters > 1 else f"{clock(reason.last, now)} UTC"
    return f"{reason.letters:,} × {since}"


def _few(reasons: Sequence[str]) -> tuple[str, ...]:
    more = len(reasons) - MOST_REASONS
    return (*reasons[:MOST_REASONS], *([f"and {counted(more, 'more reason', 'more reasons')}"] if more > 0 else []))


def _differences(facts: Facts) -> Iterator[Item]:
    if facts.verification and not facts.verification.equal:
        next_ = "“totesys verify --repair” loads the wrong rows again."
        yield Item(
            "The warehouse differs from the source",
            ("The last verification found wrong rows.",),
            next_,
            (Link("#verified", "Wrong rows"),),
        )


def _quarantine(facts: Facts) -> Iterator[Item]:
    """The quarantined rows of the newest runs, by table."""
    for table in quarantined(facts.lake.newest[:PAGE]):
        yield Item(
            f"{counted(table.rows, 'row')} of {table.name} in quarantine",
            _few(table.reasons),
            "The warehouse lacks them. Fix them in the source: the next run loads them.",
            tuple(Link(f"/console/runs/{run}#rows", f"Rows of run {run}") for run in table.runs[:3]),
        )


def _open_transaction(facts: Facts) -> Iterator[Item]:
    newest = facts.lake.newest[0] if facts.lake.newest else None
    found = newest.open_transaction if newest else None
    if newest and found and found.age(newest.snapshot_time) > LONG_OPEN:
        yield Item(
            f"A transaction of the source has been open since {clock(found.since, facts.now)} UTC",
            (f"Its holder is {found.holder}.",),
            "Its changes arrive when it commits; nothing else waits for it. If it was forgotten, end it.",
        )


def _own_failure(facts: Facts, stage: str) -> tuple[str, ...]:
    return (f"Its last work failed: {facts.own.failure}",) if stage == facts.service and facts.own.failure else ()


def _where_to_look(facts: Facts, stage: str) -> str:
    if stage == facts.service:
        return "See its log."
    return f"Check that {stage} is running. Its own console and its log show what it waits for."

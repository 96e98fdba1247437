"""What is wrong now, why, and what happens next: what somebody who is woken at night reads first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from totesys.lake.records import Failure
from totesys.transactions import LONG_OPEN
from totesys_console.facts import Facts
from totesys_console.freshness_chart import PROMISE, fresh_as_of
from totesys_console.stage_status import StageView
from totesys_console.wording import counted, moment


@dataclass(frozen=True)
class Problem:
    """`what` changes only when something has happened; `why` is as the service says it; `link` leads to more."""

    what: str
    why: str
    next: str
    link: str = ""
    link_says: str = ""


def problems(facts: Facts, stages: Sequence[StageView]) -> tuple[Problem, ...]:
    """All that is wrong, first what hides the rest."""
    return (
        *_unknown(facts),
        *_own(facts),
        *(problem for view in stages for problem in _standing(facts, view)),
        *_no_run(facts, stages),
        *(_dead(view) for view in stages if view.dead),
        *_differing(facts),
        *_open_transaction(facts),
    )


def next_after(failure: Failure) -> str:
    """What happens after a stage has failed at a run."""
    stage = failure.stage
    if failure.transient:
        return f"It may pass by itself: {stage} tries again, after some minutes at the most."
    behind = (
        "Until then no later run is loaded." if stage == "load" else "Later runs go on, but load waits for this one."
    )
    return f"Mend the cause: {stage} tries again with each message, and every few minutes without one. {behind}"


def _unknown(facts: Facts) -> Iterator[Problem]:
    if facts.lake_fault:
        yield Problem(
            "The lake cannot be read",
            facts.lake_fault,
            "Freshness, runs and quarantine are not known until it can be. The rest of this page is true.",
        )
    elif facts.verification_fault:
        yield Problem(
            "The last verification cannot be read", facts.verification_fault, "The rest of this page is true."
        )
    down = [stage for stage, queue in facts.queues.items() if queue.down]
    if down:
        yield Problem(
            f"The {'queue' if len(down) == 1 else 'queues'} of {_listed(down)} cannot be asked",
            facts.queues[down[0]].fault,
            "What waits there and what is dead is not known. Nothing is lost: the lake shows what is undone.",
        )


def _own(facts: Facts) -> Iterator[Problem]:
    title = facts.service.capitalize()
    if facts.own.fault:
        yield Problem(
            f"{title} takes no messages", facts.own.fault, "Restart it, unless what watches /health does so by itself."
        )
    told = {"lake"} if facts.lake_fault else set()
    if facts.service in facts.queues and facts.queues[facts.service].down:
        told.add("queue")
    for name, fault in facts.own.waits_for.items():
        if name not in told:
            yield Problem(
                f"{title} waits for the {name}",
                fault,
                "It asks again every few seconds and goes on by itself once it is answered. Nothing is lost.",
            )


def _standing(facts: Facts, view: StageView) -> Iterator[Problem]:
    if view.failed:
        failure = view.failed.failure
        yield Problem(
            f"{view.title} has failed at run {view.failed.run}",
            f"{moment(failure.failed_at, facts.now)} UTC: {failure.detail}" if failure else "",
            next_after(failure) if failure else "",
            f"/console/runs/{view.failed.run}",
            f"Run {view.failed.run}, table by table",
        )
    if view.late:
        yield Problem(
            f"{view.title} has not begun run {view.late.run}",
            f"It could have since {moment(view.late.since, facts.now)} UTC. {_failure(facts, view.stage)}".rstrip(),
            _look_at(facts, view.stage),
        )


def _dead(view: StageView) -> Problem:
    return Problem(
        f"{counted(view.dead or 0, 'dead letter')} of {view.stage}",
        "",
        "No data is lost with one. See why it was given up, mend the cause, and send it back.",
        f"/console/actions/redrive?stage={view.stage}",
        f"See why, and send back to {view.stage}",
    )


def _no_run(facts: Facts, stages: Sequence[StageView]) -> Iterator[Problem]:
    """Nothing is undone and all the same the warehouse is old: it is ingest that stands still."""
    as_of = fresh_as_of(facts.lake.recent.visible)
    ingest = stages[0]
    if facts.lake.recent.undone or as_of is None or facts.now - as_of <= PROMISE:
        return
    if ingest.state not in {"working", "blocked"}:
        yield Problem(
            f"Ingest has committed no run since {moment(as_of, facts.now)} UTC",
            _failure(facts, "ingest"),
            f"See whether the schedule fires. {_look_at(facts, 'ingest')} “Run now” asks for a run at once.",
        )


def _differing(facts: Facts) -> Iterator[Problem]:
    if facts.verification and not facts.verification.equal:
        yield Problem(
            "The warehouse is not what the source says",
            "The last verification found it.",
            "“totesys verify --repair” brings the wrong rows again.",
            "#verified",
            "Which rows",
        )


def _open_transaction(facts: Facts) -> Iterator[Problem]:
    newest = facts.lake.newest[0] if facts.lake.newest else None
    found = newest.open_transaction if newest else None
    if newest and found and found.age(newest.snapshot_time) > LONG_OPEN:
        yield Problem(
            f"A transaction of the source is open since {moment(found.since, facts.now)} UTC",
            f"It is held by {found.holder}.",
            "Its changes arrive when it commits; nothing else waits for it. If it was forgotten, end it.",
        )


def _failure(facts: Facts, stage: str) -> str:
    return f"Its last work failed: {facts.own.failure}" if stage == facts.service and facts.own.failure else ""


def _look_at(facts: Facts, stage: str) -> str:
    if stage == facts.service:
        return "Its log says more."
    return f"See whether {stage} runs and what it waits for: its own console and its log say so."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

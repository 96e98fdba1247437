"""What each stage is doing, from the lake, the queues and the state of this service. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from totesys.errors import BadMessage
from totesys.lake import keys
from totesys.lake.records import Failure
from totesys.service.runs import RunDetail
from totesys.stage_names import STAGES, Stage
from totesys_console.facts import Facts
from totesys_console.run_cache import Listed
from totesys_console.stage_queues import FailureReason, QueueState
from totesys_console.wording import age, counted

# Longer than the back-off after a transient failure, during which nobody works on a run.
LATE = timedelta(minutes=3)


@dataclass(frozen=True)
class Progress:
    """How many rows of the runs in progress a stage has done."""

    done: int
    all: int

    @property
    def text(self) -> str:
        return f"{self.done:,} of {counted(self.all, 'row')}"


@dataclass(frozen=True)
class Failed:
    """The first run on which a stage failed. `failure` is None if its record was not read."""

    run: int
    failure: Failure | None


@dataclass(frozen=True)
class Late:
    """A run that a stage could have started at `since`."""

    run: int
    since: datetime


@dataclass(frozen=True)
class StageCard:
    """The status of a stage. Counts that are unknown are None.

    `state` is `idle`, `new` (nothing has ever run), `waiting`, `working`, `failed`, `blocked` (a dependency is down) or
    `unknown`. `refusal` is why ingest has failed since the newest run.
    """

    stage: str
    state: str
    text: str
    detail: str
    progress: Progress | None
    failed: Failed | None
    late: Late | None
    refusal: FailureReason | None
    queue: QueueState

    @property
    def title(self) -> str:
        return self.stage.capitalize()


def stage_statuses(facts: Facts) -> tuple[StageCard, ...]:
    """The status of all three stages."""
    return tuple(_status(facts, stage, facts.queues.get(stage, QueueState())) for stage in STAGES)


def _status(facts: Facts, stage: Stage, queue: QueueState) -> StageCard:
    pending = _pending(facts.lake.recent.pending, stage)
    failed = _failed(facts.lake.newest, pending, stage)
    late = _late(facts, stage, pending)
    refusal = _refusal(facts, queue) if stage == "ingest" else None
    state, text = (
        _blocked(facts, stage)
        or _busy(facts, stage, queue, pending, failed)
        or (("failed", "the last extraction failed") if refusal else None)
        or _at_rest(facts, stage, queue)
    )
    if state == "waiting" and late:
        text = f"has waited for {age((facts.now - late.since).total_seconds())}"
    return StageCard(
        stage=stage,
        state=state,
        text=text,
        detail=f"{counted(len(pending), 'run')} pending" if pending else "",
        progress=_progress(facts.lake.newest, stage) if pending else None,
        failed=failed,
        late=late if state == "waiting" else None,
        refusal=refusal,
        queue=queue,
    )


def _blocked(facts: Facts, stage: str) -> tuple[str, str] | None:
    if stage != facts.service:
        return None
    if facts.own.waits_for:
        return "blocked", f"waits for the {' and the '.join(facts.own.waits_for)}"
    return ("blocked", f"the {facts.own.database} is unavailable") if facts.own.database_fault else None


def _busy(
    facts: Facts, stage: str, queue: QueueState, pending: Sequence[Listed], failed: Failed | None
) -> tuple[str, str] | None:
    """The state of a stage that has something to do; None for one that hasn't."""
    in_progress = bool(queue.waiting and queue.waiting.in_flight) or (facts.own.busy and stage == facts.service)
    if failed:
        # Load stops at a failed run, since it keeps the order. Transform continues with the next.
        stands = "stopped" if stage == "load" else "failed"
        return "failed", f"retries run {failed.run}" if in_progress else f"{stands} at run {failed.run}"
    if in_progress:
        return "working", f"at run {pending[0].run}" if pending else _working_on(facts, stage)
    if pending and stage == "load" and not pending[0].transformed:
        return "waiting", "waits for transform"
    if pending or (queue.waiting and queue.waiting.waiting):
        return "waiting", "about to start"
    return None


def _at_rest(facts: Facts, stage: str, queue: QueueState) -> tuple[str, str]:
    """The state of a stage with nothing to do, if known: from its queue for ingest, from the lake for the others."""
    if queue.fault if stage == "ingest" else facts.lake_fault:
        return "unknown", "unknown"
    new = not facts.lake.last and not facts.lake_fault
    if stage == "ingest":
        return ("new", "waits for the first tick") if new else ("idle", "waits for the next tick")
    return ("new", "no run yet") if new else ("idle", "all runs done")


def _refusal(facts: Facts, queue: QueueState) -> FailureReason | None:
    """Why ingest fails now: the newest reason of its dead letters, if they came after the newest run."""
    newest = next((one for one in queue.reasons if not one.text.startswith(BadMessage.__name__)), None)
    committed = facts.lake.newest[0].stages["ingest"].finished_at if facts.lake.newest else None
    if newest is None or facts.lake_fault:
        return None
    return newest.since(committed) if committed else newest


def _pending(runs: Sequence[Listed], stage: str) -> list[Listed]:
    if stage == "ingest":
        return []
    return [one for one in runs if not (one.transformed if stage == "transform" else one.loaded)]


def _failed(runs: Sequence[RunDetail], pending: Sequence[Listed], stage: str) -> Failed | None:
    first = next((one.run for one in pending if keys.failure_name(stage) in one.processed), None)
    if first is None:
        return None
    return Failed(first, next((run.stages[stage].error for run in runs if run.run == first), None))


def _late(facts: Facts, stage: Stage, pending: Sequence[Listed]) -> Late | None:
    """The first pending run, if the stage before finished it long ago."""
    before = STAGES[STAGES.index(stage) - 1]
    run = next((run for run in facts.lake.newest if pending and run.run == pending[0].run), None)
    ready = run.stages[before].finished_at if run else None
    return Late(run.run, ready) if run and ready and facts.now - ready > LATE else None


def _working_on(facts: Facts, stage: str) -> str:
    newest = max((run.run for run in facts.lake.newest), default=0)
    if stage == "ingest" and facts.lake.last > newest:
        return f"extracting run {facts.lake.last}"
    return "working"


def _progress(runs: Sequence[RunDetail], stage: str) -> Progress | None:
    """How far the stage is with the snapshots that it has not finished."""
    staged = [run for run in runs if stage in run.stages]
    open_snapshots = {run.snapshot_time for run in staged if run.stages[stage].state != "done"}
    in_progress = [run for run in staged if run.snapshot_time in open_snapshots]
    rows = sum(run.stages["ingest"].rows for run in in_progress)
    done = sum(run.stages["ingest"].rows for run in in_progress if run.stages[stage].state == "done")
    return Progress(done, rows) if rows else None

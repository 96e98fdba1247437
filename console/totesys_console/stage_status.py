"""What each stage is at, as far as the lake, the queues and this service itself say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from totesys.lake import keys
from totesys.lake.records import Failure
from totesys.service.runs import RunDetail
from totesys.stage_names import STAGES
from totesys_console.facts import Facts
from totesys_console.run_cache import Listed
from totesys_console.stage_queues import QueueState
from totesys_console.wording import age, counted

# Longer than a message is hidden after a failure that passes, whose work nobody has in hand meanwhile.
LATE = timedelta(minutes=3)


@dataclass(frozen=True)
class Progress:
    """How many rows of those at work a stage has done."""

    done: int
    all: int

    @property
    def says(self) -> str:
        return f"{self.done:,} of {counted(self.all, 'row')}"


@dataclass(frozen=True)
class Failed:
    """The first run that a stage has failed at. `failure` is None where its record was not read."""

    run: int
    failure: Failure | None


@dataclass(frozen=True)
class Late:
    """A run that a stage could have begun at `since`."""

    run: int
    since: datetime


@dataclass(frozen=True)
class StageView:
    """A stage now; counts are None where they are not known.

    `state` is `idle`, `waiting`, `working`, `failed`, `blocked` (what it depends on is down) or `unknown`.
    """

    stage: str
    state: str
    says: str
    detail: str
    progress: Progress | None
    failed: Failed | None
    late: Late | None
    waiting: int | None
    in_flight: int | None
    dead: int | None
    fault: str

    @property
    def title(self) -> str:
        return self.stage.capitalize()


def stage_views(facts: Facts) -> tuple[StageView, ...]:
    """All three stages."""
    return tuple(_view(facts, stage, facts.queues.get(stage, QueueState())) for stage in STAGES)


def _view(facts: Facts, stage: str, queue: QueueState) -> StageView:
    undone = _undone(facts.lake.recent.undone, stage)
    failed = _failed(facts.lake.newest, undone, stage)
    late = _late(facts, stage, undone)
    state, says = _blocked(facts, stage) or _busy(facts, stage, queue, undone, failed) or _rest(facts, stage, queue)
    if state == "waiting" and late:
        says = f"has waited for {age((facts.now - late.since).total_seconds())}"
    return StageView(
        stage=stage,
        state=state,
        says=says,
        detail=f"{counted(len(undone), 'run')} to do" if undone else "",
        progress=_progress(facts.lake.newest, stage) if undone else None,
        failed=failed,
        late=late if state == "waiting" else None,
        waiting=queue.waiting.waiting if queue.waiting else None,
        in_flight=queue.waiting.in_flight if queue.waiting else None,
        dead=queue.dead.waiting + queue.dead.in_flight if queue.dead else None,
        fault="" if queue.down else queue.fault,
    )


def _blocked(facts: Facts, stage: str) -> tuple[str, str] | None:
    if stage == facts.service and facts.own.waits_for:
        return "blocked", f"waits for the {' and the '.join(facts.own.waits_for)}"
    return None


def _busy(
    facts: Facts, stage: str, queue: QueueState, undone: Sequence[Listed], failed: Failed | None
) -> tuple[str, str] | None:
    """What a stage that has something to do is at; None for one that has not."""
    in_hand = bool(queue.waiting and queue.waiting.in_flight) or (facts.own.busy and stage == facts.service)
    if failed:
        # Load does runs in their order; transform goes on with the next.
        stands = "stopped" if stage == "load" else "failed"
        return "failed", f"tries run {failed.run} again" if in_hand else f"{stands} at run {failed.run}"
    if in_hand:
        return "working", f"at run {undone[0].run}" if undone else _at_work(facts, stage)
    if undone and stage == "load" and not undone[0].transformed:
        return "waiting", "waits for transform"
    if undone or (queue.waiting and queue.waiting.waiting):
        return "waiting", "about to begin"
    return None


def _rest(facts: Facts, stage: str, queue: QueueState) -> tuple[str, str]:
    """What a stage is at that has nothing to do, as far as is known: of ingest the queue knows, of others the lake."""
    if queue.fault if stage == "ingest" else facts.lake_fault:
        return "unknown", "not known"
    return "idle", "waiting for the next tick" if stage == "ingest" else "up to date"


def _undone(runs: Sequence[Listed], stage: str) -> list[Listed]:
    if stage == "ingest":
        return []
    return [one for one in runs if not (one.transformed if stage == "transform" else one.loaded)]


def _failed(runs: Sequence[RunDetail], undone: Sequence[Listed], stage: str) -> Failed | None:
    first = next((one.run for one in undone if keys.failure_name(stage) in one.processed), None)
    if first is None:
        return None
    return Failed(first, next((run.stages[stage].error for run in runs if run.run == first), None))


def _late(facts: Facts, stage: str, undone: Sequence[Listed]) -> Late | None:
    """The first run that is undone, if the stage before it did it long ago."""
    before = STAGES[STAGES.index(stage) - 1]
    run = next((run for run in facts.lake.newest if undone and run.run == undone[0].run), None)
    ready = run.stages[before].finished_at if run else None
    return Late(run.run, ready) if run and ready and facts.now - ready > LATE else None


def _at_work(facts: Facts, stage: str) -> str:
    newest = max((run.run for run in facts.lake.newest), default=0)
    if stage == "ingest" and facts.lake.last > newest:
        return f"extracting run {facts.lake.last}"
    return "at work"


def _progress(runs: Sequence[RunDetail], stage: str) -> Progress | None:
    """How far the stage is with the snapshots that it has not done all of."""
    staged = [run for run in runs if stage in run.stages]
    open_snapshots = {run.snapshot_time for run in staged if run.stages[stage].state != "done"}
    at_work = [run for run in staged if run.snapshot_time in open_snapshots]
    rows = sum(run.stages["ingest"].rows for run in at_work)
    done = sum(run.stages["ingest"].rows for run in at_work if run.stages[stage].state == "done")
    return Progress(done, rows) if rows else None

"""What each stage is at, as far as the lake and the queues say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from totesys.console.facts import Facts
from totesys.console.queues import QueueState
from totesys.console.records import STAGES, Listed
from totesys.console.wording import counted
from totesys.lake import keys
from totesys.service.runs import RunDetail


@dataclass(frozen=True)
class Progress:
    """How many rows of those at work a stage has done."""

    done: int
    all: int

    @property
    def says(self) -> str:
        return f"{self.done:,} of {counted(self.all, 'row')}"


@dataclass(frozen=True)
class StageView:
    """A stage now. `state` is `idle`, `waiting`, `working` or `failed`; counts are None where they are not known."""

    stage: str
    state: str
    says: str
    detail: str
    progress: Progress | None
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
    undone = _undone(facts.recent.undone, stage)
    waiting = queue.waiting.waiting if queue.waiting else None
    in_flight = queue.waiting.in_flight if queue.waiting else None
    working = bool(in_flight) or (facts.busy and stage == facts.service)
    failed = [one.run for one in undone if keys.failure_name(stage) in one.processed]
    if failed:
        state, says = "failed", f"stopped at run {failed[0]}"
    elif working:
        state, says = "working", f"at run {undone[0].run}" if undone else _at_work(facts, stage)
    elif undone or waiting:
        state, says = "waiting", "about to begin"
    else:
        state, says = "idle", "up to date" if stage != "ingest" else "waiting for the next tick"
    return StageView(
        stage=stage,
        state=state,
        says=says,
        detail=f"{counted(len(undone), 'run')} to do" if undone else "",
        progress=_progress(facts.newest, stage) if undone else None,
        waiting=waiting,
        in_flight=in_flight,
        dead=queue.dead.waiting + queue.dead.in_flight if queue.dead else None,
        fault=queue.fault,
    )


def _undone(runs: Sequence[Listed], stage: str) -> list[Listed]:
    if stage == "ingest":
        return []
    return [one for one in runs if not (one.transformed if stage == "transform" else one.loaded)]


def _at_work(facts: Facts, stage: str) -> str:
    newest = max((run.run for run in facts.newest), default=0)
    if stage == "ingest" and facts.last > newest:
        return f"extracting run {facts.last}"
    return "at work"


def _progress(runs: Sequence[RunDetail], stage: str) -> Progress | None:
    """How far the stage is with the snapshots that it has not done all of."""
    staged = [run for run in runs if stage in run.stages]
    open_snapshots = {run.snapshot_time for run in staged if run.stages[stage].state != "done"}
    at_work = [run for run in staged if run.snapshot_time in open_snapshots]
    rows = sum(run.stages["ingest"].rows for run in at_work)
    done = sum(run.stages["ingest"].rows for run in at_work if run.stages[stage].state == "done")
    return Progress(done, rows) if rows else None

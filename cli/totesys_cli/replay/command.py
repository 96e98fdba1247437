"""`totesys replay`: sends the wake-ups, waits until the stages say in the lake that the runs were done again."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import uuid4

from rich.console import Console

from totesys.lake.records import ReplayRecord
from totesys.lake.store import Lake
from totesys.triggers import RunsTrigger
from totesys_cli.errors import BadInput, StageFailed
from totesys_cli.place import Place
from totesys_cli.progress import LINE_SECONDS, Steps, progress
from totesys_cli.replay import result

Stage = Literal["transform", "load"]

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Order:
    """Which runs are done again, from which stage on, and how long that may take; `name` tells it from others."""

    first: int
    last: int
    from_stage: Stage
    timeout: timedelta
    name: str = field(default_factory=lambda: str(uuid4()))

    @property
    def stages(self) -> list[Stage]:
        return ["transform", "load"] if self.from_stage == "transform" else ["load"]

    @property
    def wakeup(self) -> str:
        wakeup = RunsTrigger(from_run=self.first, to_run=self.last, replay=self.name)
        return wakeup.model_dump_json(exclude_none=True)


async def run_replay(console: Console, place: Place, order: Order, *, json: bool) -> None:
    """Print what was replaced, by run and table. Raises BadInput for runs that are not there, StageFailed."""
    async with place.lake() as lake:
        runs = await _runs(lake, order)
        every = 0 if len(runs) <= result.FEW_RUNS else LINE_SECONDS
        with progress(len(runs) * len(order.stages), every=every) as steps:
            try:
                async with asyncio.timeout(order.timeout.total_seconds()):
                    for number, stage in enumerate(order.stages):
                        await _again(place, lake, stage, order, steps, number * len(runs), len(runs))
            except TimeoutError:
                raise StageFailed(
                    f"{stage} has not done all of the runs again within {order.timeout}. What was sent goes on. Check "
                    "that the service runs; if it does, `totesys dlq list` says whether it gave the message up."
                ) from None
        await result.show(console, lake, runs, json=json)


async def _runs(lake: Lake, order: Order) -> list[int]:
    """The runs with parts; there must be some, and load must have done one before."""
    if order.first > order.last:
        raise BadInput(f"--from {order.first} is after --to {order.last}.")
    span = f"from {order.first} to {order.last}"
    runs = [run async for run in lake.runs_with_parts(order.first - 1, order.last)]
    if not runs:
        counter = await lake.counter()
        raise BadInput(
            f"The lake has no run with rows {span}; the last run number is {counter.last if counter else 0}. "
            "`GET /runs` of any service shows which there are."
        )
    if not await lake.loaded_runs(order.first - 1, order.last):
        raise BadInput(f"No run {span} is in the warehouse yet. Load brings them there by itself: nothing to replay.")
    return runs


async def _again(place: Place, lake: Lake, stage: Stage, order: Order, steps: Steps, before: int, runs: int) -> None:
    """Have the stage do the runs again; `before` steps were done before it."""
    async with place.queue(stage) as queue:
        await queue.send(order.wakeup)
    while True:
        record = await lake.replay(stage, order.name)
        if record is not None:
            _check(stage, record)
            # Of runs that load has not done yet, its record tells nothing.
            done = before + (runs if record.finished else min(record.runs, runs))
            if done > steps.done:
                steps.step(f"run {record.done} {stage}", done - steps.done)
            if record.finished:
                return
        await asyncio.sleep(_POLL_SECONDS)


def _check(stage: Stage, record: ReplayRecord) -> None:
    failure = record.failure
    if failure and not failure.transient:
        raise StageFailed(f"{stage} failed at run {failure.run}: {failure.title}: {failure.detail}")

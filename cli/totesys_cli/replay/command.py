"""`totesys replay`: sends the wake-ups, waits until the lake's records say that the runs were done again."""

import asyncio
import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from totesys.events import RunsWakeup
from totesys.lake.lake import Lake
from totesys.lake.records import LoadRecord
from totesys_cli.errors import BadInput, StageFailed
from totesys_cli.place import Place
from totesys_cli.progress import Steps, progress
from totesys_cli.replay.watch import Watch

Stage = Literal["transform", "load"]


@dataclass(frozen=True)
class Order:
    """Which runs are done again, from which stage on, and how long that may take."""

    first: int
    last: int
    from_stage: Stage
    timeout: timedelta

    @property
    def stages(self) -> list[Stage]:
        return ["transform", "load"] if self.from_stage == "transform" else ["load"]

    @property
    def wakeup(self) -> str:
        return RunsWakeup(from_run=self.first, to_run=self.last).model_dump_json(exclude_none=True)


async def run_replay(console: Console, place: Place, order: Order, *, json: bool) -> None:
    """Print what was replaced, by run and table. Raises BadInput for runs that are not there, StageFailed."""
    async with place.lake() as lake:
        runs = await _runs(lake, order)
        with progress(len(runs) * len(order.stages)) as steps:
            try:
                async with asyncio.timeout(order.timeout.total_seconds()):
                    for stage in order.stages:
                        await _again(place, lake, stage, order, runs, steps)
            except TimeoutError:
                raise StageFailed(
                    f"{stage} has not done all of the runs again within {order.timeout}. What was sent goes on. Check "
                    "that the service runs; if it does, `totesys dlq list` says whether it gave the message up."
                ) from None
        records = [record for run in runs if (record := await lake.load_record(run))]
    if json:
        written = [{"run": record.run, "tables": record.model_dump(mode="json")["tables"]} for record in records]
        console.print_json(json_module.dumps(written))
    else:
        console.print(_table(records))


async def _runs(lake: Lake, order: Order) -> list[int]:
    """The runs with parts; there must be some, and load must have done one before."""
    if order.first > order.last:
        raise BadInput(f"--from {order.first} is after --to {order.last}.")
    span = f"from {order.first} to {order.last}"
    known = await lake.ingested(after=order.first - 1)
    runs = [run for run, empty in known.items() if run <= order.last and not empty]
    if not runs:
        counter = await lake.counter()
        raise BadInput(
            f"The lake has no run with rows {span}; the last run number is {counter.last if counter else 0}. "
            "`GET /runs` of any service shows which there are."
        )
    if not any([await lake.load_record(run) for run in runs]):
        raise BadInput(f"No run {span} is in the warehouse yet. Load brings them there by itself: nothing to replay.")
    return runs


async def _again(place: Place, lake: Lake, stage: Stage, order: Order, runs: Sequence[int], steps: Steps) -> None:
    before = [await Watch.begin(lake, stage, run) for run in runs]
    async with place.queue(stage) as queue:
        await queue.send(order.wakeup)
    for watch in before:
        await watch.until_done()
        steps.step(f"run {watch.run} {stage}")


def _table(records: Sequence[LoadRecord]) -> Table:
    table = Table(
        Column("run", justify="right"),
        Column("table", no_wrap=True),
        *(Column(name, justify="right") for name in ("rows", "written", "quarantined", "record ids")),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for record in records:
        for name, loaded in record.tables.items():
            first, last = loaded.first_record_id, loaded.last_record_id
            ids = f"{first}-{last}" if first is not None and last is not None and first <= last else ""
            counts = (f"{count:,}" for count in (loaded.rows, loaded.written, loaded.quarantined))
            table.add_row(str(record.run), name, *counts, ids)
    return table

"""`totesys replay`: sends the triggers, and waits for the stages' records of the replay in the lake."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Literal
from uuid import uuid4

from rich.table import Table

from totesys.concurrency import prefetched
from totesys.lake.records import LoadRecord
from totesys.lake.store import Lake
from totesys.triggers import RunsTrigger
from totesys_cli.command_errors import StageFailed, UsageError
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation
from totesys_cli.progress import LINE_SECONDS, Steps, progress
from totesys_cli.terminal import Output, period, table
from totesys_cli.trigger_sender import TriggerSender, trigger_sender

ReplayStage = Literal["transform", "load"]

# Of more runs, only the totals are printed.
FEW_RUNS = 50
_POLL_SECONDS = 0.2
_READ_AHEAD = 8
_COUNTS = ("rows", "written", "quarantined")


@dataclass(frozen=True)
class ReplayRange:
    """The runs to replay, from which stage on, and how long that may take. `name` identifies this replay."""

    first: int
    last: int
    from_stage: ReplayStage
    timeout: timedelta
    name: str = field(default_factory=lambda: str(uuid4()))

    @property
    def stages(self) -> list[ReplayStage]:
        return ["transform", "load"] if self.from_stage == "transform" else ["load"]


async def run_replay(output: Output, location: DataPlaneLocation, wanted: ReplayRange) -> None:
    """Replay, and print what was replaced, by run and table. Raises UsageError for missing runs, StageFailed."""
    async with lake_at(location) as lake:
        runs = await _runs(lake, wanted)
        every = 0 if len(runs) <= FEW_RUNS else LINE_SECONDS
        with progress(len(runs) * len(wanted.stages), every=every) as steps:
            try:
                async with asyncio.timeout(wanted.timeout.total_seconds()):
                    for number, stage in enumerate(wanted.stages):
                        async with trigger_sender(location, stage) as sender:
                            before, count = number * len(runs), len(runs)
                            await sender.unless_given_up(partial(_replay, lake, sender, wanted, steps, before, count))
            except TimeoutError:
                raise StageFailed(
                    f"{stage} did not replay all runs within {period(wanted.timeout)}. The message stays queued. Check "
                    "that the service runs; if it does, see `totesys dlq list`."
                ) from None
        if output.json:
            await _print_json(output, lake, runs)
        else:
            output.console.print(await (_by_run if len(runs) <= FEW_RUNS else _by_table)(lake, runs))


async def _runs(lake: Lake, wanted: ReplayRange) -> list[int]:
    """The runs with rows. Raises UsageError if there are none, or load has not loaded any of them."""
    if wanted.first > wanted.last:
        raise UsageError(f"--from {wanted.first} is after --to {wanted.last}. Swap them.")
    span = f"from {wanted.first} to {wanted.last}"
    runs = [run async for run in lake.runs_with_parts(wanted.first - 1, wanted.last)]
    if not runs:
        raise UsageError(
            f"The lake has no run with rows {span}; the last run number is {await lake.last_number()}. "
            "`totesys runs` lists the runs."
        )
    if not await lake.loaded_runs(wanted.first - 1, wanted.last):
        raise UsageError(f"No run {span} is in the warehouse yet, so there is nothing to replay. Load will load them.")
    return runs


async def _replay(lake: Lake, sender: TriggerSender, wanted: ReplayRange, steps: Steps, before: int, runs: int) -> None:
    """Wait until the stage has replayed the runs; `before` steps were done before it. Raises StageFailed."""
    stage = sender.stage
    await sender.send(RunsTrigger(from_run=wanted.first, to_run=wanted.last, replay=wanted.name))
    while True:
        record = await lake.replay(stage, wanted.name)
        if record is not None:
            failure = record.failure
            if failure and not failure.transient:
                raise StageFailed(f"{stage} failed at run {failure.run}: {failure.title}: {failure.detail}")
            # The record of load does not count runs that load has not loaded yet.
            done = before + (runs if record.finished else min(record.runs, runs))
            if done > steps.done:
                steps.step(f"run {record.done} {stage}", done - steps.done)
            if record.finished:
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _records(lake: Lake, runs: Sequence[int]) -> AsyncGenerator[LoadRecord, None]:
    """The records of load, each read when it is needed."""
    reads = (partial(lake.load_record, run) for run in runs)
    async with aclosing(prefetched(reads, _READ_AHEAD)) as records:
        async for record in records:
            if record is not None:
                yield record


async def _print_json(output: Output, lake: Lake, runs: Sequence[int]) -> None:
    """One array, an element at a time."""
    console, before = output.console, "["
    async with aclosing(_records(lake, runs)) as records:
        async for record in records:
            console.out(f"{before}\n  ", end="")
            console.out(record.model_dump_json(include={"run", "tables"}), end="", highlight=False)
            before = ","
    console.out("\n]" if before == "," else "[]", highlight=False)


async def _by_run(lake: Lake, runs: Sequence[int]) -> Table:
    rows = table("run", "table", numbers=(*_COUNTS, "version ids"))
    rows.columns[0].justify = "right"
    async with aclosing(_records(lake, runs)) as records:
        async for record in records:
            for name, loaded in record.tables.items():
                first, last = loaded.first_record_id, loaded.last_record_id
                ids = f"{first}-{last}" if first is not None and last is not None and first <= last else ""
                counts = (f"{getattr(loaded, count):,}" for count in _COUNTS)
                rows.add_row(str(record.run), name, *counts, ids)
    return rows


async def _by_table(lake: Lake, runs: Sequence[int]) -> Table:
    sums: dict[str, Counter[str]] = {}
    async with aclosing(_records(lake, runs)) as records:
        async for record in records:
            for name, loaded in record.tables.items():
                added = {"runs": 1, **{count: getattr(loaded, count) for count in _COUNTS}}
                sums.setdefault(name, Counter()).update(added)
    rows = table("table", numbers=("runs", *_COUNTS))
    for name, counts in sums.items():
        rows.add_row(name, *(f"{counts[count]:,}" for count in ("runs", *_COUNTS)))
    return rows

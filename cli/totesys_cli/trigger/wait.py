"""Waiting for what a wake-up asks for, by the lake's records alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from totesys.lake.records import VerificationRecord
from totesys.lake.store import Lake
from totesys.triggers import ExtractTrigger
from totesys_cli.status.backlog import read_backlog
from totesys_cli.trigger.watch import Watch

_POLL_SECONDS = 0.2

Send = Callable[[], Awaitable[object]]
Tell = Callable[[str], None]


async def extracted(lake: Lake, wakeup: ExtractTrigger, send: Send, tell: Tell) -> list[int]:
    """Ask for an extraction and wait until its runs are in the warehouse; these.

    Raises StageFailed if transform or load fails at one of them.
    """
    counter = await lake.counter()
    seen = counter.last if counter else 0
    await send()
    runs: list[int] = []
    complete = False
    while not complete:
        for run in await lake.ingested(after=seen):
            manifest = await lake.manifest(run)
            assert manifest is not None
            if manifest.trigger == wakeup.trigger:
                tell(f"run {run} ingest, {sum(table.rows for table in manifest.tables.values()):,} rows")
                runs += [] if manifest.empty else [run]
                complete = manifest.complete
            elif manifest.complete:
                # While another extraction was at work, ours may have been left alone.
                await send()
            seen = run
        await asyncio.sleep(0 if complete else _POLL_SECONDS)
    for run in runs:
        for stage in ("transform", "load"):
            await Watch.new(lake, stage, run).until_done()
            tell(f"run {run} {stage}")
    return runs


async def done(lake: Lake, stage: Literal["transform", "load"], send: Send, tell: Tell) -> list[int]:
    """Have the stage do what is undone and wait for it; these runs. Raises StageFailed if it fails at one of them."""
    backlog = await read_backlog(lake)
    runs = backlog.for_transform if stage == "transform" else backlog.for_load
    watches = [await Watch.undone(lake, stage, run) for run in runs]
    await send()
    for watch in watches:
        await watch.until_done()
        tell(f"run {watch.run} {stage}")
    return runs


async def verified(lake: Lake, send: Send) -> VerificationRecord:
    """Ask for a verification and wait for its record."""
    before = await lake.verifications(1)
    await send()
    while True:
        found = await lake.verifications(1)
        if found != before:
            return found[0]
        await asyncio.sleep(_POLL_SECONDS)

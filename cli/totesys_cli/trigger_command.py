"""`totesys trigger`: sends the message, and waits for its effect by the lake's records alone, not by two clocks."""

import asyncio
from datetime import timedelta
from functools import partial

from totesys.lake.records import Failure
from totesys.lake.store import Lake
from totesys.service.runs import RunState, run_detail
from totesys.stage_names import Stage
from totesys.triggers import ExtractTrigger, LoadTrigger, Trigger
from totesys_cli.command_errors import StageFailed
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation
from totesys_cli.status.backlog import read_backlog
from totesys_cli.status.status_reading import verification_status
from totesys_cli.status.status_screen import runs_table, verification_line
from totesys_cli.terminal import Output, period
from totesys_cli.trigger_sender import TriggerSender, trigger_sender

_POLL_SECONDS = 0.2


async def run_trigger(
    output: Output, location: DataPlaneLocation, stage: Stage, trigger: Trigger, longest: timedelta | None
) -> None:
    """Send the trigger, and print the id of its message; with `longest` wait at most so long, and print the result.

    Raises StageFailed if the stage fails, gives the message up, or does not finish in time.
    """
    async with trigger_sender(location, stage) as sender:
        if longest is None:
            message = await sender.send(trigger)
            output.result({"message_id": message}, f"{stage} is triggered by message {message}.")
            return
        try:
            async with lake_at(location) as lake, asyncio.timeout(longest.total_seconds()):
                await sender.unless_given_up(partial(_wait, output, lake, sender, trigger))
        except TimeoutError:
            raise StageFailed(
                f"{stage} did not finish within {period(longest)}. The message stays queued. Check that the services "
                "run; if they do, see `totesys status` and `totesys dlq list`."
            ) from None


async def _wait(output: Output, lake: Lake, sender: TriggerSender, trigger: Trigger) -> None:
    if isinstance(trigger, LoadTrigger) and trigger.verify:
        await _verify(output, lake, sender, trigger)
        return
    if isinstance(trigger, ExtractTrigger):
        numbers = await _extract(output, lake, sender, trigger)
    else:
        numbers = await _reconcile(output, lake, sender, trigger)
    details = await asyncio.gather(*map(partial(run_detail, lake), numbers))
    runs = [RunState.model_validate(detail.model_dump()) for detail in details if detail]
    output.result(runs, runs_table(runs) if runs else "Nothing was pending.")


async def _verify(output: Output, lake: Lake, sender: TriggerSender, trigger: Trigger) -> None:
    """Wait for a new verification and print it. Raises StageFailed if rows differ."""
    before = found = await lake.verifications(1)
    await sender.send(trigger)
    while found == before:
        await asyncio.sleep(_POLL_SECONDS)
        found = await lake.verifications(1)
    output.result(found[0], verification_line(verification_status(found[0])))
    if not found[0].equal:
        raise StageFailed("The warehouse differs from the source. `totesys verify` names the rows.")


async def _extract(output: Output, lake: Lake, sender: TriggerSender, trigger: ExtractTrigger) -> list[int]:
    """Wait until the runs of the extraction are in the warehouse; these runs. Raises StageFailed if one fails."""
    seen = await lake.last_number()
    await sender.send(trigger)
    runs: list[int] = []
    complete = False
    while not complete:
        for run in await lake.ingested(after=seen):
            manifest = await lake.manifest(run)
            assert manifest is not None
            if manifest.trigger == trigger.trigger:
                output.note(f"run {run} ingest, {sum(table.rows for table in manifest.tables.values()):,} rows")
                runs += [] if manifest.empty else [run]
                complete = manifest.complete
            elif manifest.complete:
                # Ingest may have skipped the trigger because this other extraction was in progress.
                await sender.send(trigger)
            seen = run
        await asyncio.sleep(0 if complete else _POLL_SECONDS)
    for run in runs:
        for stage in ("transform", "load"):
            await _until_done(output, lake, stage, run)
    return runs


async def _reconcile(output: Output, lake: Lake, sender: TriggerSender, trigger: Trigger) -> list[int]:
    """Wait until the stage has processed its pending runs; these runs. Raises StageFailed if one fails."""
    backlog = await read_backlog(lake)
    runs = backlog.for_transform if sender.stage == "transform" else backlog.for_load
    before = [await lake.failure(run, sender.stage) for run in runs]
    await sender.send(trigger)
    for run, failure in zip(runs, before, strict=True):
        await _until_done(output, lake, sender.stage, run, failure)
    return runs


async def _until_done(output: Output, lake: Lake, stage: str, run: int, before: Failure | None = None) -> None:
    """Wait for the stage's record of a run. Raises StageFailed at a failure, other than `before`, that stays."""
    read = lake.processed_manifest if stage == "transform" else lake.load_record
    while await read(run) is None:
        failure = await lake.failure(run, stage)
        if failure and failure != before and not failure.transient:
            raise StageFailed(f"{stage} failed at run {run}: {failure.title}: {failure.detail}")
        await asyncio.sleep(_POLL_SECONDS)
    output.note(f"run {run} {stage}")

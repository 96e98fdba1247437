"""Reads the status from the lake and the queues."""

import asyncio
from datetime import UTC, datetime

from totesys.lake.quarantine_parts import quarantined_runs, quarantined_tables
from totesys.lake.records import Manifest
from totesys.lake.store import Lake
from totesys.service.runs import run_detail
from totesys.stage_names import STAGES
from totesys_cli.place import Place
from totesys_cli.status.backlog import Backlog, read_backlog
from totesys_cli.status.queues import read_queues
from totesys_cli.status.snapshot import (
    QuarantineStatus,
    StageStatus,
    Status,
    open_transaction_status,
    verification_status,
)

# Of so many run numbers, the newest, those with rows in quarantine are counted.
RECENT_RUNS = 10_000


async def read_status(place: Place, lake: Lake) -> Status:
    """The status now. Raises what `aws_errors` says."""
    backlog = await read_backlog(lake)
    shown, newest, stages, queues, quarantine, verifications = await asyncio.gather(
        _shown(lake, backlog.newest_shown),
        lake.newest_manifest(),
        _stages(lake, backlog),
        read_queues(place),
        _quarantine(lake),
        lake.verifications(1),
    )
    at = datetime.now(UTC)
    return Status(
        at=at,
        run=shown.run if shown else None,
        as_of=shown.snapshot_time if shown else None,
        # By two clocks: `totesys doctor` compares them.
        fresh=max(0.0, (at - shown.snapshot_time).total_seconds()) if shown else None,
        stages=stages,
        queues=queues,
        quarantine=quarantine,
        verification=verification_status(verifications[0]) if verifications else None,
        open_transaction=open_transaction_status(newest),
    )


async def _shown(lake: Lake, newest: int) -> Manifest | None:
    """The newest complete run that is shown: of a snapshot that arrives in slices, only the last one is."""
    while newest > 0:
        manifest = await lake.manifest(newest)
        if manifest is None or manifest.complete:
            return manifest
        newest = await lake.newest_ingested(manifest.extraction - 1)
    return None


async def _stages(lake: Lake, backlog: Backlog) -> list[StageStatus]:
    waiting = {"ingest": [], "transform": backlog.for_transform, "load": backlog.for_load}
    last = {
        "ingest": max(backlog.later, default=backlog.loaded),
        "transform": max(backlog.transformed, default=backlog.loaded),
        "load": backlog.loaded,
    }
    return list(await asyncio.gather(*(_stage(lake, stage, last[stage], waiting[stage]) for stage in STAGES)))


async def _stage(lake: Lake, stage: str, last: int, waiting: list[int]) -> StageStatus:
    detail = await run_detail(lake, last) if last else None
    state = detail.stages.get(stage) if detail else None
    failure = await lake.failure(waiting[0], stage) if waiting else None
    return StageStatus(
        stage=stage,
        run=last if state else None,
        finished_at=state.finished_at if state else None,
        rows=state.rows if state else 0,
        seconds=state.seconds if state else None,
        waiting=len(waiting),
        error=f"run {failure.run}: {failure.title}: {failure.detail}" if failure else None,
    )


async def _quarantine(lake: Lake) -> QuarantineStatus:
    last = await lake.last_number()
    recent = [run async for run in quarantined_runs(lake, last + 1, after=last - RECENT_RUNS)]
    return QuarantineStatus(runs=len(recent), tables=tuple(await quarantined_tables(lake)))

"""The record of runs, as every service shows it: read from the lake alone."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from totesys.lake.keys import intervals_back
from totesys.lake.quarantine_parts import quarantined_runs
from totesys.lake.records import (
    BuiltTable,
    ExtractedTable,
    Failure,
    LoadedTable,
    LoadRecord,
    Manifest,
    ProcessedManifest,
    TableParts,
)
from totesys.lake.store import Lake
from totesys.transactions import OpenTransaction

State = Literal["done", "empty", "waiting", "failed"]


class StageState(BaseModel):
    """One stage of a run. `seconds` is the time it took; `error` its last failure, if it is not done since.

    `quarantined` are rows that it could not make warehouse rows of.
    """

    state: State
    finished_at: datetime | None = None
    rows: int = 0
    quarantined: int = 0
    bytes: int = 0
    seconds: float | None = None
    error: Failure | None = None


class RunState(BaseModel):
    """A run through its three stages. `freshness` is the snapshot's age in seconds when the run became visible."""

    run: int
    trigger: str
    snapshot_time: datetime
    complete: bool
    freshness: float | None = Field(default=None)
    stages: dict[str, StageState]


class RunDetail(RunState):
    """A run with its tables, and the oldest transaction of the source that its snapshot did not see."""

    open_transaction: OpenTransaction | None = None
    extracted: dict[str, ExtractedTable] = {}
    built: dict[str, BuiltTable] = {}
    quarantine: dict[str, TableParts] = {}
    loaded: dict[str, LoadedTable] = {}


class QuarantinedRows(BaseModel):
    """How many rows of a run are no rows of a warehouse table, by transform's decision or by load's."""

    run: int
    table: str
    rows: int


@dataclass(frozen=True)
class RunRecords:
    """What the lake says of a run: the record of each stage that has done it, the failures of those that have not."""

    manifest: Manifest
    processed: ProcessedManifest | None = None
    loaded: LoadRecord | None = None
    failures: Mapping[str, Failure] = field(default_factory=dict)


def describe(records: RunRecords) -> RunDetail:
    """A run with its tables, as its records say. Pure."""
    manifest, processed, loaded = records.manifest, records.processed, records.loaded
    detail = RunDetail(
        run=manifest.run,
        trigger=manifest.trigger,
        snapshot_time=manifest.snapshot_time,
        complete=manifest.complete,
        open_transaction=manifest.open_transaction,
        extracted=manifest.tables,
        stages={"ingest": _ingest_state(manifest)},
    )
    if manifest.empty:
        return detail
    if processed:
        detail.built, detail.quarantine = processed.tables, processed.quarantine
    if loaded:
        detail.loaded, detail.freshness = loaded.tables, loaded.freshness
    failures = records.failures
    detail.stages["transform"] = _transform_state(processed) if processed else _undone(failures.get("transform"))
    detail.stages["load"] = _load_state(loaded) if loaded else _undone(failures.get("load"))
    return detail


async def run_detail(lake: Lake, run: int) -> RunDetail | None:
    """A run with its tables; None if ingest committed none of this number."""
    manifest = await lake.manifest(run)
    if manifest is None:
        return None
    if manifest.empty:
        return describe(RunRecords(manifest))
    processed, loaded = await asyncio.gather(lake.processed_manifest(run), lake.load_record(run))
    undone = [stage for stage, record in (("transform", processed), ("load", loaded)) if record is None]
    failures = [await lake.failure(run, stage) for stage in undone]
    known = {stage: failure for stage, failure in zip(undone, failures, strict=True) if failure}
    return describe(RunRecords(manifest, processed, loaded, known))


async def list_runs(lake: Lake, limit: int, before: int | None) -> list[RunState]:
    """The newest runs below `before`, newest first, at most `limit`: fewer only where there are no more."""
    runs: list[int] = []
    for after, upto in intervals_back(await _upper(lake, before), limit):
        runs += sorted(await lake.ingested(after, upto), reverse=True)
        if len(runs) >= limit:
            break
    details = await asyncio.gather(*(run_detail(lake, run) for run in runs[:limit]))
    return [RunState.model_validate(detail.model_dump()) for detail in details if detail]


async def list_quarantined(lake: Lake, limit: int, before: int | None) -> list[QuarantinedRows]:
    """What the newest runs below `before` have in quarantine, by run and table, of at most `limit` runs that do."""
    found: list[QuarantinedRows] = []
    runs = 0
    async with aclosing(quarantined_runs(lake, await _upper(lake, before) + 1)) as numbers:
        async for number in numbers:
            rows = await _quarantined_of(lake, number)
            found += rows
            runs += bool(rows)
            if runs == limit:
                break
    return found


async def _upper(lake: Lake, before: int | None) -> int:
    last = await lake.last_number()
    return min(before - 1, last) if before else last


async def _quarantined_of(lake: Lake, run: int) -> list[QuarantinedRows]:
    detail = await run_detail(lake, run)
    if detail is None:
        return []
    return [
        QuarantinedRows(run=run, table=table, rows=rows)
        for table in sorted({*detail.quarantine, *detail.loaded})
        if (rows := _quarantined(detail, table))
    ]


def _quarantined(detail: RunDetail, table: str) -> int:
    by_transform, by_load = detail.quarantine.get(table), detail.loaded.get(table)
    return (by_transform.rows if by_transform else 0) + (by_load.quarantined if by_load else 0)


def _ingest_state(manifest: Manifest) -> StageState:
    tables = manifest.tables.values()
    return StageState(
        state="empty" if manifest.empty else "done",
        finished_at=manifest.finished_at,
        seconds=manifest.seconds,
        rows=sum(table.rows for table in tables),
        bytes=sum(table.bytes for table in tables),
    )


def _transform_state(processed: ProcessedManifest) -> StageState:
    tables = processed.tables.values()
    return StageState(
        state="done",
        finished_at=processed.finished_at,
        seconds=processed.seconds,
        rows=sum(table.rows for table in tables),
        quarantined=sum(table.rows for table in processed.quarantine.values()),
        bytes=sum(table.bytes for table in tables),
    )


def _load_state(loaded: LoadRecord) -> StageState:
    tables = loaded.tables.values()
    return StageState(
        state="done",
        finished_at=loaded.finished_at,
        seconds=loaded.seconds,
        rows=sum(table.written for table in tables),
        quarantined=sum(table.quarantined for table in tables),
    )


def _undone(failure: Failure | None) -> StageState:
    return StageState(state="failed" if failure else "waiting", error=failure)

"""The state of runs as the lake records it, for `GET /runs` of every service, the console and the command."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

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
    QuarantinedTable,
    RunRecord,
    TableParts,
)
from totesys.lake.store import Lake
from totesys.transactions import OpenTransaction

State = Literal["done", "empty", "waiting", "failed"]


class StageState(BaseModel):
    """One stage of a run. `seconds` is how long it took, `error` its last failure unless it has succeeded since.

    `quarantined` is how many rows could not become warehouse rows.
    """

    state: State
    finished_at: datetime | None = None
    rows: int = 0
    quarantined: int = 0
    bytes: int = 0
    seconds: float | None = None
    error: Failure | None = None


class RunState(BaseModel):
    """A run in its three stages. `freshness` is the age of its snapshot, in seconds, when the run became visible."""

    run: int
    trigger: str
    snapshot_time: datetime
    complete: bool
    freshness: float | None = None
    stages: dict[str, StageState]


class RunDetail(RunState):
    """A run with its tables, and the oldest open transaction of the source, which its snapshot did not see."""

    open_transaction: OpenTransaction | None = None
    extracted: dict[str, ExtractedTable] = {}
    built: dict[str, BuiltTable] = {}
    quarantine: dict[str, QuarantinedTable] = {}
    loaded: dict[str, LoadedTable] = {}

    @property
    def quarantined_rows(self) -> dict[str, int]:
        """The number of rows that transform and load quarantined, by table, without tables that have none."""
        rows = Counter({name: table.rows for name, table in self.quarantine.items()})
        rows.update({name: table.quarantined for name, table in self.loaded.items()})
        return {name: rows[name] for name in sorted(rows) if rows[name]}

    def quarantine_reasons(self, table: str) -> dict[str, int]:
        """Why rows of the table are in quarantine, without their values; the number of rows by reason."""
        by_transform, by_load = self.quarantine.get(table), self.loaded.get(table)
        reasons = dict(by_transform.reasons) if by_transform else {}
        if by_transform and not reasons:
            reasons["`totesys quarantine` shows the reason"] = by_transform.rows
        if by_load and by_load.quarantined:
            reasons["refers to a dimension row that has not arrived"] = by_load.quarantined
        return reasons


class QuarantinedRows(BaseModel):
    """How many rows of a table a run has in quarantine, from transform and from load."""

    run: int
    table: str
    rows: int


@dataclass(frozen=True)
class RunRecords:
    """The lake's records of a run: of each stage that has done it, and the failures of those that have not."""

    manifest: Manifest
    processed: ProcessedManifest | None = None
    loaded: LoadRecord | None = None
    failures: Mapping[str, Failure] = field(default_factory=dict)


def describe(records: RunRecords) -> RunDetail:
    """A run with its tables, from its records. Pure."""
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
    detail.stages["transform"] = _transform_state(processed) if processed else _pending(failures.get("transform"))
    detail.stages["load"] = _load_state(loaded) if loaded else _pending(failures.get("load"))
    return detail


async def run_detail(lake: Lake, run: int) -> RunDetail | None:
    """A run with its tables; None if ingest has committed no run of this number."""
    manifest = await lake.manifest(run)
    if manifest is None:
        return None
    if manifest.empty:
        return describe(RunRecords(manifest))
    processed, loaded = await asyncio.gather(lake.processed_manifest(run), lake.load_record(run))
    pending = [stage for stage, record in (("transform", processed), ("load", loaded)) if record is None]
    failures = [await lake.failure(run, stage) for stage in pending]
    known = {stage: failure for stage, failure in zip(pending, failures, strict=True) if failure}
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
    """The quarantined rows of the newest runs below `before`, by run and table, for at most `limit` runs."""
    found: list[QuarantinedRows] = []
    runs = 0
    async with aclosing(quarantined_runs(lake, await _upper(lake, before) + 1)) as numbers:
        async for number in numbers:
            detail = await run_detail(lake, number)
            rows = detail.quarantined_rows if detail else {}
            found += [QuarantinedRows(run=number, table=table, rows=count) for table, count in rows.items()]
            runs += bool(rows)
            if runs == limit:
                break
    return found


async def _upper(lake: Lake, before: int | None) -> int:
    last = await lake.last_number()
    return min(before - 1, last) if before else last


def _done(record: RunRecord, rows: int, size_bytes: int = 0, quarantined: int = 0, state: State = "done") -> StageState:
    return StageState(
        state=state,
        finished_at=record.finished_at,
        seconds=record.seconds,
        rows=rows,
        bytes=size_bytes,
        quarantined=quarantined,
    )


def _ingest_state(manifest: Manifest) -> StageState:
    return _done(manifest, *_size(manifest.tables), state="empty" if manifest.empty else "done")


def _transform_state(processed: ProcessedManifest) -> StageState:
    return _done(processed, *_size(processed.tables), quarantined=_size(processed.quarantine)[0])


def _load_state(loaded: LoadRecord) -> StageState:
    tables = loaded.tables.values()
    quarantined = sum(table.quarantined for table in tables)
    return _done(loaded, sum(table.written for table in tables), quarantined=quarantined)


def _size(tables: Mapping[str, TableParts]) -> tuple[int, int]:
    """The rows and the bytes of all tables."""
    return sum(table.rows for table in tables.values()), sum(table.bytes for table in tables.values())


def _pending(failure: Failure | None) -> StageState:
    return StageState(state="failed" if failure else "waiting", error=failure)

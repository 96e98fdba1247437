"""The load stage: loads pending runs in order, replays runs on request, and verifies on schedule."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

from totesys.connection import connect, database_errors
from totesys.errors import CorruptObject, TerminalError
from totesys.lake.keys import MANIFEST, record_key
from totesys.lake.records import LoadedTable, LoadRecord, ProcessedManifest
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.service.resumable_replay import Replay
from totesys.triggers import LoadTrigger, RunsTrigger
from totesys_load import ledger_queries
from totesys_load.compatibility import WritePlan
from totesys_load.freshness_metric import emit_freshness
from totesys_load.load_replay import LaterKeysUnknown, RunReplay, record_later_keys
from totesys_load.load_settings import LoadSettings
from totesys_load.run_loader import LoadContext, RunLoader
from totesys_load.scheduled_verification import verify_and_record
from totesys_load.warehouse_connection import WHAT, WarehouseConnection
from totesys_load.warehouse_setup import prepare

log = logger("totesys.load")

# Rows are looked up by key, on pages in memory or on solid-state disks: full scans would not pay off.
_PLANNER = {"random_page_cost": "1.1", "work_mem": "32MB"}
# Run numbers that a replay reads from the ledger at once.
RUNS_AT_ONCE = 1000
# The fields that load's record takes over from transform's.
_COMMON_FIELDS = {"lake", "run", "previous", "extraction", "complete", "snapshot_time"}
Pending: TypeAlias = Callable[[], Awaitable[None]]


@dataclass
class Load:
    """The stage: loads every run that transform committed and the ledger lacks, in run order.

    `on_run` is called with the record of each run that has been loaded.
    """

    settings: LoadSettings
    lake: Lake
    model: Model
    name: str = "load"
    database: str | None = "warehouse"
    default_trigger: LoadTrigger | None = field(default_factory=LoadTrigger)
    on_run: Callable[[LoadRecord], None] | None = None
    # None until the warehouse is prepared, and after any error.
    _write_plan: WritePlan | None = None
    _filling: dict[str, int] = field(default_factory=dict)

    @property
    def background(self) -> Mapping[str, Task]:
        """Emits the freshness metric at its interval."""
        return {"freshness": partial(emit_freshness, self.settings, self.lake)}

    async def check(self) -> None:
        """Check that the warehouse answers."""
        async with self._connected() as warehouse:
            await warehouse.connection.execute("SELECT 1")

    async def work(self, trigger: RunsTrigger) -> None:
        """Replay the runs that the trigger names, load all pending ones, and verify if the trigger requests it."""
        counter = await self.lake.counter()
        if counter is None:
            return
        async with self._connected() as warehouse:
            context = await self._prepared(warehouse)
            if trigger.to_replay:
                await self._replay(context, counter.lake, trigger)
            await self._load_pending(context, counter.lake)
        if isinstance(trigger, LoadTrigger) and trigger.verify:
            await verify_and_record(self.settings, self.lake, self.model)

    async def _prepared(self, warehouse: WarehouseConnection) -> LoadContext:
        """Prepare the warehouse, once after a start and after any error."""
        if self._write_plan is None:
            async with self._locked(warehouse):
                self._write_plan = await prepare(warehouse.connection, self.model, warehouse.schema, self._dsn)
        return LoadContext(self.model, self.lake, warehouse, self._write_plan, self._filling)

    async def _load_pending(self, context: LoadContext, lake: UUID) -> None:
        """Load the runs that are pending now. What transform commits meanwhile has events of its own."""
        last = await ledger_queries.last_run(context.warehouse.connection, lake)
        await self._complete_record(context, lake, last)
        for run in await self.lake.processed_runs(after=last):
            manifest = await self._manifest(run)
            if manifest.previous > last:
                log.info(LogEvent.RUN_DEFERRED, run=run, waiting_for=manifest.previous)
                return
            async with self.lake.failures_recorded(run, self.name) as work:
                work.rows = await self._apply(context, manifest)
            last = run

    async def _apply(self, context: LoadContext, manifest: ProcessedManifest) -> dict[str, int]:
        """Load a run. Returns the rows written by table."""
        started = time.monotonic()
        connection = context.warehouse.connection
        async with self._locked(context.warehouse):
            # Another replica may have loaded the run while this one waited for the lock.
            if await ledger_queries.last_run(connection, manifest.lake) >= manifest.run:
                return {}
            superseded = await ledger_queries.is_superseded(connection, manifest)
            if superseded:
                await ledger_queries.record_run(connection, manifest)
            loaded = {} if superseded else await RunLoader(context, manifest).apply()
        if superseded:
            # Ingest lost the source's lock while it committed the run, and another extraction was faster.
            log.warning(LogEvent.RUN_SKIPPED, run=manifest.run, reason="a newer extraction is in the warehouse")
        await self._record(manifest, loaded, time.monotonic() - started)
        return {name: table.written for name, table in loaded.items()}

    async def _replay(self, context: LoadContext, lake: UUID, trigger: RunsTrigger) -> None:
        """Replay those of the runs that are in the warehouse when this begins, and load new ones between them."""
        connection = context.warehouse.connection
        newest = await ledger_queries.last_run(connection, lake)
        failed = False

        async def runs(after: int, upto: int) -> AsyncGenerator[int, None]:
            while some := await ledger_queries.runs_between(connection, lake, after, min(upto, newest), RUNS_AT_ONCE):
                for run in some:
                    yield run
                after = some[-1]

        async def pending() -> None:
            nonlocal failed
            if failed:
                return
            try:
                await self._load_pending(context, lake)
            except TerminalError as error:
                # The failure is recorded, and raised after the replay, which may fix its cause.
                failed = True
                log.warning(LogEvent.NEW_RUNS_PAUSED, error=str(error), next="new runs load when the replay is done")

        await Replay(self.lake, self.name, trigger).replay(runs, partial(self._replay_run, context, pending), pending)

    async def _replay_run(self, context: LoadContext, pending: Pending, run: int) -> None:
        async with self.lake.failures_recorded(run, self.name) as work:
            manifest, before = await asyncio.gather(self._manifest(run), self.lake.load_record(run))
            with database_errors(WHAT, self._dsn):
                tables = await self._replayed_tables(context, manifest, pending)
            update = {"tables": tables, "finished_at": datetime.now(UTC)}
            record = before.model_copy(update=update) if before else _load_record(manifest, tables, 0)
            await self.lake.put_load_record(record)
            work.rows = {name: table.written for name, table in tables.items()}
        log.info(LogEvent.RUN_REPLAYED, run=run, written=work.rows)

    async def _replayed_tables(
        self, context: LoadContext, manifest: ProcessedManifest, pending: Pending
    ) -> Mapping[str, LoadedTable]:
        connection = context.warehouse.connection
        while True:
            try:
                async with self._locked(context.warehouse):
                    if await ledger_queries.is_superseded(connection, manifest):
                        return {}
                    return await RunReplay(context, manifest).apply()
            except LaterKeysUnknown as unknown:
                dimension = unknown.dimension
            log.info(LogEvent.LATER_KEYS_RECORDED, table=dimension.name, after=manifest.run)
            more = True
            while more:
                async with self._locked(context.warehouse):
                    more = bool(await record_later_keys(connection, self.lake, dimension, manifest))
                await pending()

    async def _manifest(self, run: int) -> ProcessedManifest:
        manifest = await self.lake.processed_manifest(run)
        if manifest is None:
            where = self.lake.processed.where(record_key(run, MANIFEST))
            raise CorruptObject(f"{where} is missing. Restore it, or trigger transform for its run again.")
        return manifest

    def _record_missed(self, manifest: ProcessedManifest, written: Mapping[str, int]) -> None:
        """Log the rows of a scan that the run before it should have brought, because the log named them.

        Tables without a source follow the calendar and the other tables.
        """
        missed = {name: rows for name, rows in written.items() if rows and self.model.table(name).sources}
        figures = metrics(self.name, RowsMissedByLog=sum(missed.values()))
        if missed:
            log.error(LogEvent.MISSED_ROWS_FOUND, run=manifest.run, rows=missed, **figures)
        else:
            log.info(LogEvent.LOG_CHECKED, run=manifest.run, **figures)

    async def _record(self, manifest: ProcessedManifest, loaded: Mapping[str, LoadedTable], seconds: float) -> None:
        record = _load_record(manifest, loaded, seconds)
        await self.lake.put_load_record(record)
        if self.on_run is not None:
            self.on_run(record)
        written = {name: table.written for name, table in loaded.items()}
        unresolved = {name: table.quarantined for name, table in loaded.items() if table.quarantined}
        deleted = {name: table.deleted for name, table in loaded.items() if table.deleted}
        if unresolved:
            log.warning(LogEvent.ROWS_QUARANTINED, run=manifest.run, rows=unresolved)
        if manifest.checks_log:
            self._record_missed(manifest, written)
        log.info(
            LogEvent.RUN_COMPLETED,
            run=manifest.run,
            complete=manifest.complete,
            duration_s=record.seconds,
            latency_s=record.freshness,
            rows={name: table.rows for name, table in loaded.items()},
            written=written,
            deleted=deleted,
            **metrics(
                self.name,
                RunSeconds=record.seconds,
                RowsWritten=sum(written.values()),
                RowsUnresolved=sum(unresolved.values()),
                RowsDeleted=sum(deleted.values()),
                Freshness=record.freshness,
            ),
        )

    async def _complete_record(self, context: LoadContext, lake: UUID, run: int) -> None:
        """Write the record of the last run, if load ended between its commit and its record."""
        if run == 0 or await self.lake.load_record(run):
            return
        tables = await ledger_queries.loaded_tables(context.warehouse.connection, lake, run)
        await self.lake.put_load_record(_load_record(await self._manifest(run), tables, 0))

    @property
    def _dsn(self) -> str:
        return self.settings.warehouse_dsn.get_secret_value()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[WarehouseConnection]:
        timeout = str(int(self.settings.statement_timeout.total_seconds() * 1000))
        try:
            async with connect(WHAT, self._dsn, statement_timeout=timeout, **_PLANNER) as connection:
                yield WarehouseConnection(connection, self.settings.warehouse_schema)
        except Exception:
            self._write_plan = None
            self._filling.clear()
            raise

    def _locked(self, warehouse: WarehouseConnection) -> AbstractAsyncContextManager[None]:
        return warehouse.locked(self.settings.lock_timeout)


def _load_record(manifest: ProcessedManifest, loaded: Mapping[str, LoadedTable], seconds: float) -> LoadRecord:
    now = datetime.now(UTC)
    return LoadRecord(
        **manifest.model_dump(include=_COMMON_FIELDS),
        finished_at=now,
        seconds=round(seconds, 6),
        tables=dict(loaded),
        freshness=round((now - manifest.snapshot_time).total_seconds(), 3),
    )


@asynccontextmanager
async def open_load(settings: LoadSettings, lake: Lake) -> AsyncIterator[Load]:
    """The stage with its model. Raises ModelError."""
    yield Load(settings, lake, load_model(settings.model))

"""Load: what happens on a wake-up."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

from totesys.connection import Connection, connect, database_errors
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
from totesys_load import ledger
from totesys_load.acceptance import Accepted
from totesys_load.freshness import tell_again_and_again
from totesys_load.later_keys import note_later
from totesys_load.run import RunLoad
from totesys_load.run_again import LaterKeysUnknown, RunAgain
from totesys_load.settings import LoadSettings
from totesys_load.verification import verify_and_record
from totesys_load.warehouse import WHAT, prepare

log = logger("totesys.load")

# A run's rows are looked up by their keys, on pages that are in memory or on solid state: not worth a scan of all.
_PLANNER = {"random_page_cost": "1.1", "work_mem": "32MB"}
# Runs whose numbers are read at once, of those that are loaded again.
RUNS_AT_ONCE = 1000
Pending: TypeAlias = Callable[[], Awaitable[None]]
_HEAD = {"lake", "run", "previous", "extraction", "complete", "snapshot_time"}


@dataclass
class Load:
    """The stage: every run that transform committed and the ledger lacks, in run order.

    `on_run` is told of each run that is in the warehouse now.
    """

    settings: LoadSettings
    lake: Lake
    model: Model
    name: str = "load"
    database: str | None = "warehouse"
    default_trigger: LoadTrigger | None = field(default_factory=LoadTrigger)
    on_run: Callable[[LoadRecord], None] | None = None
    _prepared: bool = False
    _accepted: Accepted = field(default_factory=Accepted)
    _filling: dict[str, int] = field(default_factory=dict)

    @property
    def background(self) -> Mapping[str, Task]:
        """How old what the warehouse shows is, told again and again."""
        return {"freshness": partial(tell_again_and_again, self.settings, self.lake)}

    async def check(self) -> None:
        """Ask the warehouse whether it answers."""
        async with self._connected() as connection:
            await connection.execute("SELECT 1")

    async def work(self, wakeup: RunsTrigger) -> None:
        """Load the runs that the wake-up names again, then all that are undone; verify, if it asks for that."""
        counter = await self.lake.counter()
        if counter is None:
            return
        await self._load(wakeup, counter.lake)
        if isinstance(wakeup, LoadTrigger) and wakeup.verify:
            await verify_and_record(self.settings, self.lake, self.model)

    async def _load(self, wakeup: RunsTrigger, lake: UUID) -> None:
        async with self._connected() as connection:
            await self._prepare(connection)
            if wakeup.to_replay:
                await self._replay(connection, lake, wakeup)
            await self._load_undone(connection, lake)

    async def _prepare(self, connection: Connection) -> None:
        """Make sure that the warehouse is as declared: at start, and after whatever went wrong."""
        if not self._prepared:
            async with self._locked(connection):
                self._accepted = await prepare(connection, self.model, self.settings.warehouse_schema, self._dsn)
        self._prepared = True

    async def _load_undone(self, connection: Connection, lake: UUID) -> None:
        """Load what is undone now. What transform commits meanwhile has events of its own."""
        last = await ledger.last_run(connection, lake)
        await self._complete_record(connection, lake, last)
        for run in await self.lake.processed_runs(after=last):
            manifest = await self._manifest(run)
            if manifest.previous > last:
                log.info(LogEvent.RUN_DEFERRED, run=run, waiting_for=manifest.previous)
                return
            async with self.lake.failures_recorded(run, self.name):
                await self._apply(connection, manifest)
            last = run

    async def _apply(self, connection: Connection, manifest: ProcessedManifest) -> None:
        started = time.monotonic()
        async with self._locked(connection):
            # Another replica may have been faster while this one waited for the lock.
            if await ledger.last_run(connection, manifest.lake) >= manifest.run:
                return
            run = self._run(RunLoad, connection, manifest, self._filling)
            overtaken = await ledger.is_overtaken(connection, manifest)
            loaded = await (run.pass_over() if overtaken else run.apply())
        if overtaken:
            # Its ingest lost the source's lock while it was being committed, and another one has been faster.
            log.warning(LogEvent.RUN_SKIPPED, run=manifest.run, reason="a newer extraction is in the warehouse")
        await self._done(manifest, loaded, time.monotonic() - started)

    async def _replay(self, connection: Connection, lake: UUID, wakeup: RunsTrigger) -> None:
        """Load again those of the runs that are in the warehouse when this begins; meanwhile new ones come first."""
        newest = await ledger.last_run(connection, lake)
        failed = False

        async def runs(after: int, upto: int) -> AsyncGenerator[int, None]:
            while some := await ledger.runs_between(connection, lake, after, min(upto, newest), RUNS_AT_ONCE):
                for run in some:
                    yield run
                after = some[-1]

        async def pending() -> None:
            nonlocal failed
            if failed:
                return
            try:
                await self._load_undone(connection, lake)
            except TerminalError as error:
                # It is recorded, and said when the replay is done, which may be what mends it.
                failed = True
                log.warning(LogEvent.NEW_RUNS_PAUSED, error=str(error), next="they load when the replay is done")

        again = partial(self._load_again, connection, pending)
        await Replay(self.lake, self.name, wakeup).replay(runs, again, pending)

    async def _load_again(self, connection: Connection, pending: Pending, run: int) -> None:
        async with self.lake.failures_recorded(run, self.name):
            manifest, before = await asyncio.gather(self._manifest(run), self.lake.load_record(run))
            with database_errors(WHAT, self._dsn):
                tables = await self._applied_again(connection, manifest, pending)
            done = {"tables": tables, "finished_at": datetime.now(UTC)}
            await self.lake.put_load_record(before.model_copy(update=done) if before else _record(manifest, tables, 0))
        log.info(LogEvent.RUN_REPLAYED, run=run, written={name: table.written for name, table in tables.items()})

    async def _applied_again(
        self, connection: Connection, manifest: ProcessedManifest, pending: Pending
    ) -> Mapping[str, LoadedTable]:
        while True:
            try:
                async with self._locked(connection):
                    if await ledger.was_overtaken(connection, manifest):
                        return {}
                    return await self._run(RunAgain, connection, manifest, {}).apply()
            except LaterKeysUnknown as unknown:
                dimension = unknown.dimension
            log.info(LogEvent.LATER_KEYS_RECORDED, table=dimension.name, after=manifest.run)
            some = 1
            while some:
                async with self._locked(connection):
                    some = await note_later(connection, self.lake, dimension, manifest)
                await pending()

    def _run(
        self, kind: type[RunLoad], connection: Connection, manifest: ProcessedManifest, filling: dict[str, int]
    ) -> RunLoad:
        schema = self.settings.warehouse_schema
        return kind(self.model, schema, self.lake, connection, manifest, filling, self._accepted)

    async def _manifest(self, run: int) -> ProcessedManifest:
        manifest = await self.lake.processed_manifest(run)
        if manifest is None:
            where = self.lake.processed.where(record_key(run, MANIFEST))
            raise CorruptObject(f"{where} is missing. Restore it, or trigger transform for its run again.")
        return manifest

    async def _done(self, manifest: ProcessedManifest, loaded: Mapping[str, LoadedTable], seconds: float) -> None:
        record = _record(manifest, loaded, seconds)
        await self.lake.put_load_record(record)
        if self.on_run is not None:
            self.on_run(record)
        written = {name: table.written for name, table in loaded.items()}
        orphans = {name: table.quarantined for name, table in loaded.items() if table.quarantined}
        deleted = {name: table.deleted for name, table in loaded.items() if table.deleted}
        if orphans:
            log.warning(LogEvent.ROWS_QUARANTINED, run=manifest.run, rows=orphans)
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
                {"stage": self.name},
                RunSeconds=(record.seconds, "Seconds"),
                RowsWritten=(sum(written.values()), "Count"),
                RowsUnresolved=(sum(orphans.values()), "Count"),
                RowsDeleted=(sum(deleted.values()), "Count"),
                Freshness=(record.freshness, "Seconds"),
            ),
        )

    async def _complete_record(self, connection: Connection, lake: UUID, run: int) -> None:
        """Write the record that a load which ended right after its commit did not write."""
        if run == 0 or await self.lake.load_record(run):
            return
        manifest = await self._manifest(run)
        await self.lake.put_load_record(_record(manifest, await ledger.loaded_tables(connection, lake, run), 0))

    @property
    def _dsn(self) -> str:
        return self.settings.warehouse_dsn.get_secret_value()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        timeout = str(int(self.settings.statement_timeout.total_seconds() * 1000))
        try:
            async with connect(WHAT, self._dsn, statement_timeout=timeout, **_PLANNER) as connection:
                yield connection
        except Exception:
            self._prepared = False
            self._filling.clear()
            raise

    @asynccontextmanager
    async def _locked(self, connection: Connection) -> AsyncIterator[None]:
        async with connection.transaction():
            await ledger.lock(connection, self.settings.lock_timeout)
            yield


def _record(manifest: ProcessedManifest, loaded: Mapping[str, LoadedTable], seconds: float) -> LoadRecord:
    now = datetime.now(UTC)
    return LoadRecord(
        **manifest.model_dump(include=_HEAD),
        finished_at=now,
        seconds=round(seconds, 6),
        tables=dict(loaded),
        freshness=round((now - manifest.snapshot_time).total_seconds(), 3),
    )


@asynccontextmanager
async def open_load(settings: LoadSettings, lake: Lake) -> AsyncIterator[Load]:
    """The stage. Raises ModelError."""
    yield Load(settings, lake, load_model(settings.model))

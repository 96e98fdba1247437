"""The lakehouse stage: commits every run that transform committed and the lakehouse's ledger lacks."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from totesys.concurrency import prefetched
from totesys.lake.records import ProcessedManifest
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.service.resumable_replay import Replay
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_lakehouse.batch_commit import AHEAD, BatchCommit
from totesys_lakehouse.iceberg_catalog import open_catalog
from totesys_lakehouse.iceberg_store import LAST_RUN, RESTORE_TO, IcebergStore
from totesys_lakehouse.known_rows import KnownRows
from totesys_lakehouse.lakehouse_errors import CommitConflict
from totesys_lakehouse.lakehouse_ledger import (
    LedgerEntry,
    LedgerState,
    append_entries,
    ledger_state,
    runs_with_rows,
)
from totesys_lakehouse.lakehouse_settings import LakehouseSettings
from totesys_lakehouse.lakehouse_tables import DELETION, LEDGER, LakehouseTable, lakehouse_tables
from totesys_lakehouse.run_batches import is_full
from totesys_lakehouse.run_replay import RunReplay, read_manifest

log = logger("totesys.lakehouse")

T = TypeVar("T")

# A conflict means that another writer was faster. After this many the trigger is received again later.
ATTEMPTS = 5
MIB = 1024 * 1024


@dataclass
class Lakehouse:
    """The stage. Only one trigger is worked on at a time; other processes may write at the same time."""

    settings: LakehouseSettings
    lake: Lake
    model: Model
    name: str = "lakehouse"
    database: str | None = "catalog"
    default_trigger: RunsTrigger | None = RECONCILE
    _store: IcebergStore | None = None
    _commit: BatchCommit | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def background(self) -> Mapping[str, Task]:
        """Nothing."""
        return {}

    async def check(self) -> None:
        """Ask the catalog whether it answers. Raises TotesysError."""
        store = await asyncio.to_thread(self._open)
        await asyncio.to_thread(store.check)

    def close(self) -> None:
        """Close the catalog's connections."""
        if self._store is not None:
            self._store.close()

    async def work(self, trigger: RunsTrigger) -> None:
        """Replay the runs that the trigger names, then commit all that are pending."""
        counter = await self.lake.counter()
        if counter is None:
            return
        async with self._lock:
            if trigger.to_replay:
                await self._replay(counter.lake, trigger)
            await self._commit_pending(counter.lake)

    async def _replay(self, lake: UUID, trigger: RunsTrigger) -> None:
        """Replay runs that are in the ledger when this begins; new ones are committed meanwhile."""

        async def runs(after: int, upto: int) -> AsyncGenerator[int, None]:
            replay = RunReplay(await self._prepared(lake))
            async with aclosing(replay.runs(after, upto)) as found:
                async for run in found:
                    yield run

        async def again(run: int) -> None:
            async with self.lake.failures_recorded(run, self.name):
                written = await self._with_retries(lake, lambda commit: RunReplay(commit).replay(run))
            log.info(LogEvent.RUN_REPLAYED, run=run, written=dict(written))

        await Replay(self.lake, self.name, trigger).replay(runs, again, partial(self._commit_pending, lake))

    async def _commit_pending(self, lake: UUID) -> None:
        await self._with_retries(lake, self._append_pending)

    async def _with_retries(self, lake: UUID, work: Callable[[BatchCommit], Awaitable[T]]) -> T:
        """Do the work, again if another writer was faster. After any error the tables are read again."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await work(await self._prepared(lake))
            except CommitConflict as conflict:
                self._commit = None
                if attempt == ATTEMPTS:
                    raise
                log.info(LogEvent.COMMIT_CONFLICTED, error=str(conflict), next="the tables are read again")
            except BaseException:
                self._commit = None
                raise

    async def _prepared(self, lake: UUID) -> BatchCommit:
        """The tables, as declared: checked at start, and after anything that went wrong."""
        if self._commit is None:
            store = await asyncio.to_thread(self._open)
            tables = lakehouse_tables(self.model)
            await asyncio.to_thread(store.prepare, tables, lake)
            commit = BatchCommit(self.lake, store, KnownRows(store), tables)
            for table in tables:
                await self._restore(commit, table)
            self._commit = commit
        elif await asyncio.to_thread(self._commit.store.has_dropped, self._commit.tables):
            raise CommitConflict("An Iceberg table was dropped. It is created again.")
        return self._commit

    async def _append_pending(self, commit: BatchCommit) -> None:
        await asyncio.to_thread(commit.store.forget_if_changed, LEDGER)
        state = await asyncio.to_thread(ledger_state, commit.store)
        batch: list[ProcessedManifest] = []
        most_bytes = self.settings.lakehouse_batch_mib * MIB
        async with aclosing(self._manifests(await self.lake.processed_runs(after=state.last_run))) as manifests:
            previous = state.last_run
            async for manifest in manifests:
                if manifest.previous > previous:
                    log.info(LogEvent.RUN_DEFERRED, run=manifest.run, waiting_for=manifest.previous)
                    break
                if is_full(batch, manifest, most_bytes):
                    state = await self._append_batch(commit, batch, state)
                    batch = []
                batch.append(manifest)
                previous = manifest.run
        if batch:
            await self._append_batch(commit, batch, state)

    async def _append_batch(
        self, commit: BatchCommit, batch: Sequence[ProcessedManifest], state: LedgerState
    ) -> LedgerState:
        """Commit the runs' rows, then the runs themselves to the ledger; the ledger's new state."""
        started = time.monotonic()
        entries = []
        for manifest in batch:
            entries.append(LedgerEntry(manifest, skipped=state.supersedes(manifest)))
            state = state.after(manifest)
        rows = [entry.manifest for entry in entries if not entry.skipped]
        async with self.lake.failures_recorded(batch[0].run, self.name):
            written = await commit.append(rows) if rows else Counter[str]()
            before = time.monotonic()
            await asyncio.to_thread(append_entries, commit.store, entries, state)
        self._log(entries, written, time.monotonic() - started, time.monotonic() - before)
        return state

    async def _restore(self, commit: BatchCommit, table: LakehouseTable) -> None:
        """Append all that a table had which was dropped, or what the lake has of a table that the model has gained."""
        upto = await asyncio.to_thread(commit.store.property, table.name, RESTORE_TO)
        if upto is None:
            return
        done = await asyncio.to_thread(commit.store.last_run, table.name)
        log.warning(LogEvent.TABLE_RESTORED, table=table.name, after=done, upto=int(upto))
        # Which rows repeat others depends on the deletions between them, which may have to be restored, too.
        keep_repeats = await asyncio.to_thread(commit.store.property, DELETION, RESTORE_TO) is not None
        append = partial(commit.append_to, table, keep_repeats=keep_repeats)
        runs = await asyncio.to_thread(runs_with_rows, commit.store, done, int(upto))
        batch: list[ProcessedManifest] = []
        async with aclosing(self._manifests(runs)) as manifests:
            async for manifest in manifests:
                if table.name == DELETION:
                    await commit.append_deletions(manifest)
                    continue
                if is_full(batch, manifest, self.settings.lakehouse_batch_mib * MIB):
                    await append(batch)
                    batch = []
                batch.append(manifest)
        if batch:
            await append(batch)
        await asyncio.to_thread(commit.store.set_properties, table.name, {LAST_RUN: upto}, [RESTORE_TO])

    async def _manifests(self, runs: Sequence[int]) -> AsyncGenerator[ProcessedManifest, None]:
        async with aclosing(prefetched([partial(read_manifest, self.lake, run) for run in runs], AHEAD)) as manifests:
            async for manifest in manifests:
                yield manifest

    def _open(self) -> IcebergStore:
        if self._store is None:
            dsn = self.settings.lakehouse_catalog_dsn.get_secret_value()
            catalog = open_catalog(dsn, self.settings.location)
            settings = self.settings
            self._store = IcebergStore(catalog, settings.lakehouse_namespace, settings.lakehouse_keep_snapshots)
        return self._store

    def _log(
        self, entries: Sequence[LedgerEntry], written: Counter[str], seconds: float, ledger_seconds: float
    ) -> None:
        for entry in entries:
            if entry.skipped:
                log.warning(
                    LogEvent.RUN_SKIPPED, run=entry.manifest.run, reason="a newer extraction is in the lakehouse"
                )
        if ledger_seconds > self.settings.lakehouse_slow_commit.total_seconds():
            log.warning(LogEvent.LEDGER_COMMIT_SLOW, run=entries[-1].manifest.run, duration_s=round(ledger_seconds, 3))
        newest = entries[-1].manifest
        for entry in entries:
            manifest = entry.manifest
            log.info(
                LogEvent.RUN_COMPLETED,
                run=manifest.run,
                complete=manifest.complete,
                duration_s=round(seconds / len(entries), 6),
                latency_s=round((datetime.now(UTC) - manifest.snapshot_time).total_seconds(), 3),
                rows={name: table.rows for name, table in manifest.tables.items()},
                written={n: c for n, c in written.items() if n != DELETION} if manifest is newest else {},
                deleted={DELETION: written[DELETION]} if manifest is newest and written[DELETION] else {},
            )


@asynccontextmanager
async def open_lakehouse(settings: LakehouseSettings, lake: Lake) -> AsyncIterator[Lakehouse]:
    """The stage. Raises ModelError."""
    model = load_model(settings.model)
    lakehouse_tables(model)
    stage = Lakehouse(settings, lake, model)
    try:
        yield stage
    finally:
        stage.close()

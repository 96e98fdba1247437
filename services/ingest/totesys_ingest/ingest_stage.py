"""The ingest stage: one extraction for each trigger."""

import asyncio
import operator
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from totesys.concurrency import gather_pair
from totesys.errors import DatabaseUnavailable, TooManyConnections
from totesys.lake.records import Manifest
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.table import Capture, SourceQuery, SourceTable, full_refresh_tables
from totesys.transactions import LONG_OPEN, Position
from totesys.triggers import ExtractTrigger
from totesys_ingest.backoff import Backoff
from totesys_ingest.changed_keys import TableChanges
from totesys_ingest.extraction_jobs import NO_CHANGES, ChangedRows, Job, check_wanted, key_jobs, plan_jobs
from totesys_ingest.extractor import Extractor
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.log_capture import Captured, LogCapture, Prepared, checked
from totesys_ingest.log_jobs import jobs_of_changes
from totesys_ingest.open_run import ExtractionSpec
from totesys_ingest.query_changes import changes_of_queries, check_keys
from totesys_ingest.source_catalog import read_pages
from totesys_ingest.source_connection import SourceConnection, open_source
from totesys_ingest.source_contract import ContractBroken, NonBreakingChange
from totesys_ingest.source_history import read_position, read_status_since, take_snapshot
from totesys_ingest.starting_point import SourceSnapshot, SourceStatus, StartingPoint, choose_start

log = logger("totesys.ingest")

# An explicit request tries the lock every second: a wait in the server would end at its lock timeout.
_until_true = AsyncRetrying(retry=retry_if_result(operator.not_), wait=wait_fixed(1))

_STANDBY_REMEDY = (
    "If the standby cancels extractions in favour of replay, set hot_standby_feedback = on there, or set "
    "max_standby_streaming_delay longer than an extraction takes: docs/replicas.md."
)


@dataclass
class Ingest:
    """The stage. A lock on the source allows one extraction at a time, however many replicas there are."""

    settings: IngestSettings
    lake: Lake
    model: Model
    name: str = "ingest"
    database: str | None = "source"
    # Without a trigger ingest does nothing: the schedule is its clock.
    default_trigger: ExtractTrigger | None = None
    _warned: set[NonBreakingChange] = field(default_factory=set)
    _suspensions: set[str] = field(default_factory=set)
    _backoff: Backoff = field(default_factory=Backoff)
    # The last run, while the source is a standby that does not show all of it yet.
    _awaited: Manifest | None = None

    @property
    def background(self) -> Mapping[str, Task]:
        """No background tasks."""
        return {}

    async def check(self) -> None:
        """Check that the source answers and shows at least what the last run has seen. Raises DatabaseUnavailable."""
        async with self._opened() as source:
            if self._awaited is None:
                await source.connection.execute("SELECT 1")
            else:
                await self._read_status(source, self._awaited)

    async def work(self, trigger: ExtractTrigger) -> None:
        """Extract what the trigger requests. A tick that finds the lock taken ends; a request waits for it."""
        await asyncio.sleep(self._backoff.seconds)
        async with self._opened() as source:
            if not await source.try_lock():
                waits = trigger.mode != "changes"
                log.info(LogEvent.EXTRACTION_DEFERRED, waits=waits)
                if not waits:
                    return
                await _until_true(source.try_lock)
            with self._contract_broken(source):
                await self._extract(source, trigger)

    async def _extract(self, source: SourceConnection, trigger: ExtractTrigger) -> None:
        started = time.monotonic()
        check_wanted(self.model, trigger.keys)
        last = await self.lake.newest_manifest()
        status = await self._read_status(source, last)
        prepared = await self._log.prepare(source, last, status)
        snapshot = await take_snapshot(source, self.model.sources, status, last)
        self._warn_once(snapshot.changes.non_breaking)
        with self._backoff.attempt(), _standby_remedy(status):
            runs = await self._write_runs(source, trigger, last, snapshot, prepared)
            await self._log.advance(source, runs[-1], status)
        seconds = time.monotonic() - started
        rows = sum(table.rows for run in runs for table in run.tables.values())
        log.info(
            LogEvent.EXTRACTION_COMPLETED,
            runs=[run.run for run in runs if not run.empty],
            empty=all(run.empty for run in runs),
            duration_s=round(seconds, 3),
            **metrics(self.name, ExtractionSeconds=seconds, RowsExtracted=rows),
        )

    async def _read_status(self, source: SourceConnection, last: Manifest | None) -> SourceStatus:
        self._awaited = last
        status = await read_status_since(source, last)
        self._awaited = None
        return status

    async def _write_runs(
        self,
        source: SourceConnection,
        trigger: ExtractTrigger,
        last: Manifest | None,
        snapshot: SourceSnapshot,
        prepared: Prepared,
    ) -> list[Manifest]:
        start = choose_start(trigger.mode, last, snapshot, self.model.declared)
        (await source.with_duplicate_keys(snapshot.changes, start.mark)).check()
        queries = [table for table in self.model.sources if isinstance(table, SourceQuery)]
        since = last if trigger.mode == "changes" else None
        changed = await changes_of_queries(source.connection, queries, start.mark, since, snapshot)
        await check_keys(source.connection, queries, start.mark, changed)
        captured = await self._log.read(source, prepared, snapshot, start)
        self._log.report(captured)
        self._log_start(start, snapshot, captured)
        (counter, position), jobs = await gather_pair(
            gather_pair(self.lake.claim_run_number(), self._read_position(last, snapshot)),
            self._jobs(source, start, snapshot.resized(last), trigger, captured.changes, changed),
        )
        spec = ExtractionSpec(
            self.model,
            trigger,
            start,
            snapshot,
            position,
            last.position if last else None,
            captured.log,
            last.log if last else None,
            captured.by,
        )
        runs = await self._extractor(spec, source).run(jobs, counter, _newest_with_parts(last) if last else 0)
        # The check reads the same snapshot, which ends early where the source allows few connections.
        if source.connection.is_in_transaction() and self._log.is_check_due(captured, snapshot):
            runs += await self._check_log(source, spec, runs[-1])
        return runs

    async def _check_log(self, source: SourceConnection, spec: ExtractionSpec, last: Manifest) -> list[Manifest]:
        """Scan for everything since the last such scan: load writes what the log has missed, and nothing else."""
        assert spec.log is not None
        start = StartingPoint(spec.log.checked, spec.snapshot.mark, "a scan checks the log")
        self._log_start(start, spec.snapshot, Captured(spec.log, None))
        trigger = ExtractTrigger(trigger="log check")
        checking = replace(
            spec,
            trigger=trigger,
            start=start,
            last_position=last.position,
            log=checked(spec.log, spec.snapshot),
            last_log=spec.log,
            capture="scan",
            checks_log=True,
        )
        counter, jobs = await gather_pair(self.lake.claim_run_number(), self._jobs(source, start, (), trigger, None))
        # No log names the changes of a query: every tick scans for them.
        named = [job for job in jobs if not isinstance(job.table, SourceQuery)]
        return await self._extractor(checking, source).run(named, counter, _newest_with_parts(last))

    def _extractor(self, spec: ExtractionSpec, source: SourceConnection) -> Extractor:
        return Extractor(spec, self.lake, self.settings, self._opened, source)

    async def _jobs(
        self,
        source: SourceConnection,
        start: StartingPoint,
        deleted_from: Collection[str],
        trigger: ExtractTrigger,
        changes: Mapping[str, TableChanges] | None,
        changed_rows: Mapping[str, Sequence[ChangedRows]] = NO_CHANGES,
    ) -> list[Job]:
        pages, page_bytes = await read_pages(source.connection, source.schema, self.model.sources)
        job_bytes = self.settings.part_bytes if start.mark is None else self.settings.scan_bytes

        def scan(tables: Iterable[SourceTable]) -> list[Job]:
            return plan_jobs(tables, pages, max(1, job_bytes // page_bytes), start.mark, trigger.keys, changed_rows)

        if changes is None:
            jobs = scan(await self._tables(source, start, deleted_from, trigger.keys))
        else:
            jobs = jobs_of_changes(self.model, changes, {*deleted_from, *trigger.keys}, trigger.keys, pages, scan)
        if trigger.mode != "changes" or start.warning:
            jobs = [job for job in jobs if not job.keys] + key_jobs(self.model)
        return jobs

    async def _read_position(self, last: Manifest | None, snapshot: SourceSnapshot) -> Position | None:
        """The source's position, or None where the server allows no second connection.

        The snapshot's own connection is in a transaction, which has to stay open.
        """
        try:
            async with self._opened() as other:
                return await read_position(other.connection, snapshot, last.position if last else None)
        except TooManyConnections:
            return None

    async def _tables(
        self, source: SourceConnection, start: StartingPoint, deleted_from: Collection[str], wanted: Collection[str]
    ) -> list[SourceTable]:
        if start.mark is None:
            return list(self.model.extraction_order)
        full_refresh = full_refresh_tables(self.model.sources)
        changed = await source.changed(full_refresh, start.mark)
        changed |= {table.name for table in full_refresh if table.name in wanted or table.name in deleted_from}
        needed = changed | self.model.needed_with(changed)
        return [t for t in self.model.extraction_order if t.capture is Capture.INCREMENTAL or t.name in needed]

    @property
    def _log(self) -> LogCapture:
        # The changes of a query are found by a scan of its tables.
        tables = [table for table in self.model.sources if not isinstance(table, SourceQuery)]
        return LogCapture(self.settings, tables, self._opened, self._suspensions)

    def _opened(self) -> AbstractAsyncContextManager[SourceConnection]:
        settings = self.settings
        return open_source(settings.source_dsn.get_secret_value(), settings.source_schema, settings.statement_timeout)

    @contextmanager
    def _contract_broken(self, source: SourceConnection) -> Iterator[None]:
        """Log breaking changes and raise SchemaDrift or AccessDenied."""
        try:
            yield
        except ContractBroken as broken:
            differences = broken.changes.breaking
            figures = metrics(self.name, BreakingChanges=len(differences))
            log.error(LogEvent.CONTRACT_BROKEN, differences=differences, **figures)
            raise source.contract_error(broken.changes) from None

    def _warn_once(self, changes: Iterable[NonBreakingChange]) -> None:
        new: dict[str, list[str]] = defaultdict(list)
        for change in changes:
            if change not in self._warned:
                new[change.next].append(change.difference)
                self._warned.add(change)
        for following, differences in new.items():
            log.warning(LogEvent.SCHEMA_DRIFT_FOUND, differences=differences, next=following)

    def _log_start(self, start: StartingPoint, snapshot: SourceSnapshot, captured: Captured) -> None:
        seconds = 0.0
        if oldest := snapshot.open_transaction:
            age = oldest.age(snapshot.status.time)
            seconds = age.total_seconds()
            if age > LONG_OPEN:
                log.warning(
                    LogEvent.LONG_TRANSACTION_FOUND,
                    holder=oldest.holder,
                    since=oldest.since,
                    next="its changes are extracted when it ends",
                )
        level = log.warning if start.warning else log.info
        figures = metrics(self.name, BreakingChanges=0, OldestTransactionSeconds=seconds)
        level(
            LogEvent.EXTRACTION_STARTED,
            everything=start.mark is None,
            reason=start.reason,
            capture=captured.by,
            **figures,
        )


@contextmanager
def _standby_remedy(status: SourceStatus) -> Iterator[None]:
    """Name the settings that help when a standby ends an extraction."""
    try:
        yield
    except DatabaseUnavailable as error:
        if not status.in_recovery:
            raise
        raise DatabaseUnavailable(f"{error} {_STANDBY_REMEDY}") from error


def _newest_with_parts(manifest: Manifest) -> int:
    return manifest.previous if manifest.empty else manifest.run


@asynccontextmanager
async def open_ingest(settings: IngestSettings, lake: Lake) -> AsyncIterator[Ingest]:
    """The stage with its model. Raises ModelError."""
    once = ExtractTrigger(trigger="schedule") if settings.once else None
    yield Ingest(settings, lake, load_model(settings.model), default_trigger=once)

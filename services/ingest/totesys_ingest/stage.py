"""Ingest: what happens on a wake-up."""

import asyncio
import operator
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from totesys.concurrency import gather_pair
from totesys.errors import BadMessage, DatabaseUnavailable, TransientError
from totesys.lake.records import Manifest
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.table import Capture, SourceTable
from totesys.transactions import LONG_OPEN, Position
from totesys.triggers import ExtractTrigger
from totesys_ingest import history
from totesys_ingest.backoff import Backoff
from totesys_ingest.contract import Addition, Comparison
from totesys_ingest.extract import Extractor
from totesys_ingest.look import look, read_standing
from totesys_ingest.plan import key_jobs, plan_jobs
from totesys_ingest.run_writer import Extraction
from totesys_ingest.settings import IngestSettings
from totesys_ingest.source import Source, open_source
from totesys_ingest.start import Sight, Start, choose_start

log = logger("totesys.ingest")

# What the next tick would not bring asks again and again whether the extraction at work has ended: the server's own
# wait has a timeout.
_until_true = AsyncRetrying(retry=retry_if_result(operator.not_), wait=wait_fixed(1))

_STANDBY_REMEDY = (
    "If the standby ends extractions for what it has to replay, set hot_standby_feedback = on there, "
    "or max_standby_streaming_delay to more than an extraction takes: docs/replicas.md."
)


@dataclass
class Ingest:
    """The stage: one extraction a wake-up, one at a time whoever else is there."""

    settings: IngestSettings
    lake: Lake
    model: Model
    name: str = "ingest"
    database: str | None = "source"
    # The schedule is its clock.
    default_trigger: ExtractTrigger | None = None
    _warned: set[Addition] = field(default_factory=set)
    _backoff: Backoff = field(default_factory=Backoff)
    _ahead: Manifest | None = None

    @property
    def background(self) -> Mapping[str, Task]:
        """Nothing."""
        return {}

    async def check(self) -> None:
        """Ask the source whether it answers, and shows as much as the last run has seen. Raises DatabaseUnavailable."""
        async with self._opened() as source:
            if self._ahead is not None:
                await read_standing(source, self._ahead)
                self._ahead = None
            else:
                await source.connection.execute("SELECT 1")

    async def work(self, wakeup: ExtractTrigger) -> None:
        """Extract what the wake-up asks for into runs."""
        await asyncio.sleep(self._backoff.seconds)
        async with self._opened() as source:
            if await source.try_lock():
                await self._extract(source, wakeup)
                return
            waits = wakeup.mode != "changes"
            log.info(LogEvent.EXTRACTION_DEFERRED, waits=waits)
            if waits:
                # Nothing else brings what was asked for.
                await _until_true(source.try_lock)
                await self._extract(source, wakeup)

    async def _extract(self, source: Source, wakeup: ExtractTrigger) -> None:
        started = time.monotonic()
        self._check_keys(wakeup)
        last = await self.lake.newest_manifest()
        sight = await self._look(source, last)
        try:
            runs = await self._write_runs(source, wakeup, last, sight)
        except TransientError as error:
            self._backoff.failed()
            if sight.standing.in_recovery and isinstance(error, DatabaseUnavailable):
                raise DatabaseUnavailable(f"{error} {_STANDBY_REMEDY}") from error
            raise
        self._backoff.succeeded()
        seconds = time.monotonic() - started
        rows = sum(table.rows for run in runs for table in run.tables.values())
        log.info(
            LogEvent.EXTRACTION_COMPLETED,
            runs=[run.run for run in runs if not run.empty],
            empty=all(run.empty for run in runs),
            duration_s=round(seconds, 3),
            **metrics({"stage": self.name}, ExtractionSeconds=(seconds, "Seconds"), RowsExtracted=(rows, "Count")),
        )

    async def _look(self, source: Source, last: Manifest | None) -> Sight:
        self._ahead = last
        sight, comparison = await look(source, self.model.sources, last)
        self._ahead = None
        self._require(source, comparison)
        assert sight is not None
        self._warn_once(comparison.additions)
        return sight

    async def _write_runs(
        self, source: Source, wakeup: ExtractTrigger, last: Manifest | None, sight: Sight
    ) -> list[Manifest]:
        start = choose_start(wakeup.mode, last, sight, self.model.declared)
        self._require(source, await source.repeated_keys(self.model.sources, start.mark))
        say = log.warning if start.warning else log.info
        figures = metrics(
            {"stage": self.name},
            BreakingChanges=(0, "Count"),
            OldestTransactionSeconds=(self._open_seconds(sight), "Seconds"),
        )
        say(LogEvent.EXTRACTION_STARTED, everything=start.mark is None, reason=start.reason, **figures)
        (counter, position), tables = await gather_pair(
            gather_pair(self.lake.claim_run_number(), self._position(last, sight)),
            self._tables(source, start, wakeup.keys),
        )
        pages, page_bytes = await source.pages(self.model.sources)
        extraction = Extraction(wakeup.trigger, start, sight, position, self.model.declared, wakeup.keys)
        extractor = Extractor(self.model, self.lake, self.settings, self._opened, source, extraction)
        job_bytes = self.settings.part_bytes if start.mark is None else self.settings.scan_bytes
        jobs = plan_jobs(tables, pages, max(1, job_bytes // page_bytes))
        if wakeup.mode != "changes" or start.warning:
            jobs += key_jobs(self.model)
        return await extractor.run(jobs, counter, _newest_with_parts(last) if last else 0)

    async def _position(self, last: Manifest | None, sight: Sight) -> Position:
        # The snapshot's own connection is in a transaction.
        async with self._opened() as other:
            return await history.read_position(
                other.connection, sight.standing, sight.snapshot.lsn, last.position if last else None
            )

    def _open_seconds(self, sight: Sight) -> float:
        """How long the oldest transaction is open; a warning if somebody has perhaps forgotten it."""
        found = sight.open_transaction
        if found is None:
            return 0.0
        age = found.age(sight.standing.time)
        if age > LONG_OPEN:
            log.warning(
                LogEvent.LONG_TRANSACTION_FOUND,
                holder=found.holder,
                since=found.since,
                next="its changes come when it ends",
            )
        return age.total_seconds()

    def _opened(self) -> AbstractAsyncContextManager[Source]:
        settings = self.settings
        return open_source(settings.source_dsn.get_secret_value(), settings.source_schema, settings.statement_timeout)

    def _check_keys(self, wakeup: ExtractTrigger) -> None:
        unknown = set(wakeup.keys) - {table.name for table in self.model.sources}
        if unknown:
            raise BadMessage(f"The source has no declared table {', '.join(sorted(unknown))}. No run was made.")

    def _require(self, source: Source, comparison: Comparison) -> None:
        if breaches := comparison.breaches:
            figures = metrics({"stage": self.name}, BreakingChanges=(len(breaches), "Count"))
            log.error(LogEvent.CONTRACT_BROKEN, differences=breaches, **figures)
        source.require(comparison)

    def _warn_once(self, additions: Iterable[Addition]) -> None:
        new: dict[str, list[str]] = defaultdict(list)
        for addition in additions:
            if addition not in self._warned:
                new[addition.next].append(addition.difference)
                self._warned.add(addition)
        for following, differences in new.items():
            log.warning(LogEvent.SCHEMA_DRIFT_FOUND, differences=differences, next=following)

    async def _tables(self, source: Source, start: Start, wanted: Collection[str]) -> list[SourceTable]:
        if start.mark is None:
            return list(self.model.extraction_order)
        snapshots = [table for table in self.model.sources if table.capture is Capture.FULL_REFRESH]
        changed = await source.changed(snapshots, start.mark) | {t.name for t in snapshots if t.name in wanted}
        needed = changed | self.model.needed_with(changed)
        return [t for t in self.model.extraction_order if t.capture is Capture.INCREMENTAL or t.name in needed]


def _newest_with_parts(manifest: Manifest) -> int:
    return manifest.previous if manifest.empty else manifest.run


@asynccontextmanager
async def open_ingest(settings: IngestSettings, lake: Lake) -> AsyncIterator[Ingest]:
    """The stage. Raises ModelError."""
    yield Ingest(settings, lake, load_model(settings.model))

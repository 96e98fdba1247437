"""Ingest: what happens on a wake-up."""

import operator
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from totesys.concurrent import both
from totesys.errors import BadMessage
from totesys.events import ExtractWakeup
from totesys.lake.lake import Lake
from totesys.lake.records import Manifest
from totesys.logs import logger, metrics
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.table import Capture, SourceTable
from totesys_ingest.baseline import Snapshot, Start, choose_start
from totesys_ingest.contract import Addition, Comparison
from totesys_ingest.extract import Extractor
from totesys_ingest.plan import key_jobs, plan_jobs
from totesys_ingest.run_writer import Extraction
from totesys_ingest.settings import IngestSettings
from totesys_ingest.source import Source, open_source

log = logger("totesys.ingest")

# What the next tick would not bring asks again and again whether the extraction at work has ended: the server's own
# wait has a timeout.
_until_true = AsyncRetrying(retry=retry_if_result(operator.not_), wait=wait_fixed(1))


@dataclass
class Ingest:
    """The stage: one extraction a wake-up, one at a time whoever else is there."""

    settings: IngestSettings
    lake: Lake
    model: Model
    name: str = "ingest"
    database: str | None = "source"
    # The schedule is its clock.
    unprompted: ExtractWakeup | None = None
    _warned: set[Addition] = field(default_factory=set)

    @property
    def background(self) -> Mapping[str, Task]:
        """Nothing."""
        return {}

    async def check(self) -> None:
        """Ask the source whether it answers."""
        async with self._opened() as source:
            await source.connection.execute("SELECT 1")

    async def work(self, wakeup: ExtractWakeup) -> None:
        """Extract what the wake-up asks for into runs."""
        async with self._opened() as source:
            if await source.try_lock():
                await self._extract(source, wakeup)
                return
            waits = wakeup.mode != "changes"
            log.info("another extraction is at work", waits=waits)
            if waits:
                # Nothing else brings what was asked for.
                await _until_true(source.try_lock)
                await self._extract(source, wakeup)

    async def _extract(self, source: Source, wakeup: ExtractWakeup) -> None:
        started = time.monotonic()
        self._check_keys(wakeup)
        snapshot_time = datetime.now(UTC)
        last, snapshot = await both(self.lake.newest_manifest(), self._snapshot(source))
        start = choose_start(wakeup.mode, last, snapshot, self.model.declared)
        self._require(source, await source.repeated_keys(self.model.sources, start.xmin))
        say = log.warning if start.warning else log.info
        say("extraction started", everything=start.xmin is None, reason=start.reason, **self._breaches(0))
        counter, tables = await both(self.lake.claim_run_number(), self._tables(source, start, wakeup.keys))
        pages, page_bytes = await source.pages(self.model.sources)
        extraction = Extraction(
            trigger=wakeup.trigger,
            source=snapshot.source,
            snapshot_time=snapshot_time,
            xmin_before=start.xmin,
            xmin_kept=start.kept,
            xmin_after=snapshot.xmin,
            definitions=snapshot.definitions,
            declared=self.model.declared,
            wanted=wakeup.keys,
        )
        extractor = Extractor(self.model, self.lake, self.settings, self._opened, source, snapshot, extraction)
        job_bytes = self.settings.part_bytes if start.xmin is None else self.settings.scan_bytes
        jobs = plan_jobs(tables, pages, max(1, job_bytes // page_bytes))
        if wakeup.mode != "changes" or start.warning:
            jobs += key_jobs(self.model)
        runs = await extractor.run(jobs, counter, _newest_with_parts(last) if last else 0)
        seconds = time.monotonic() - started
        rows = sum(table.rows for run in runs for table in run.tables.values())
        log.info(
            "extraction successful",
            runs=[run.run for run in runs if not run.empty],
            empty=all(run.empty for run in runs),
            seconds=round(seconds, 3),
            **metrics({"stage": self.name}, ExtractionSeconds=(seconds, "Seconds"), RowsExtracted=(rows, "Count")),
        )

    def _opened(self) -> AbstractAsyncContextManager[Source]:
        settings = self.settings
        return open_source(settings.source_dsn.get_secret_value(), settings.source_schema, settings.statement_timeout)

    def _check_keys(self, wakeup: ExtractWakeup) -> None:
        unknown = set(wakeup.keys) - {table.name for table in self.model.sources}
        if unknown:
            raise BadMessage(f"The source has no declared table {', '.join(sorted(unknown))}. No run was made.")

    async def _snapshot(self, source: Source) -> Snapshot:
        comparison = await source.begin(self.model.sources)
        self._require(source, comparison)
        self._warn_once(comparison.additions)
        return await source.take_snapshot(self.model.sources)

    def _require(self, source: Source, comparison: Comparison) -> None:
        if breaches := comparison.breaches:
            log.error("contract broken", differences=breaches, **self._breaches(len(breaches)))
        source.require(comparison)

    def _breaches(self, number: int) -> dict[str, Any]:
        return metrics({"stage": self.name}, ContractBreaches=(number, "Count"))

    def _warn_once(self, additions: Iterable[Addition]) -> None:
        new: dict[str, list[str]] = defaultdict(list)
        for addition in additions:
            if addition not in self._warned:
                new[addition.next].append(addition.difference)
                self._warned.add(addition)
        for following, differences in new.items():
            log.warning("source differs", differences=differences, next=following)

    async def _tables(self, source: Source, start: Start, wanted: Collection[str]) -> list[SourceTable]:
        if start.xmin is None:
            return list(self.model.extraction_order)
        snapshots = [table for table in self.model.sources if table.capture is Capture.SNAPSHOT]
        changed = await source.changed(snapshots, start.xmin) | {t.name for t in snapshots if t.name in wanted}
        needed = changed | self.model.needed_with(changed)
        return [t for t in self.model.extraction_order if t.capture is Capture.CHANGES or t.name in needed]


def _newest_with_parts(manifest: Manifest) -> int:
    return manifest.previous if manifest.empty else manifest.run


@asynccontextmanager
async def open_ingest(settings: IngestSettings, lake: Lake) -> AsyncIterator[Ingest]:
    """The stage. Raises ModelError."""
    yield Ingest(settings, lake, load_model(settings.model))

"""An extraction: jobs run on several connections that share one snapshot, their parts become runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from totesys.errors import DatabaseUnavailable, TotesysError
from totesys.lake.records import Manifest, RunCounter
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.schema import Model
from totesys_ingest.part_writer import PartWriter
from totesys_ingest.plan import Job
from totesys_ingest.run_writer import Extraction, OpenRun
from totesys_ingest.settings import IngestSettings
from totesys_ingest.source import Source

log = logger("totesys.ingest.extract")

OpenSource = Callable[[], AbstractAsyncContextManager[Source]]


class Extractor:
    """Runs jobs in order, several at once, and commits the runs that they fill, in order.

    A job belongs to the run that is open when it begins. So each run holds a stretch of the jobs' order, the first
    all reference tables, and what a fact refers to is never in a later run than the fact.
    """

    def __init__(
        self,
        model: Model,
        lake: Lake,
        settings: IngestSettings,
        open_source: OpenSource,
        holder: Source,
        extraction: Extraction,
    ) -> None:
        self._model = model
        self._lake = lake
        self._settings = settings
        self._open_source = open_source
        self._holder = holder
        self._extraction = extraction
        self._turn = asyncio.Lock()
        self._opened: asyncio.Queue[OpenRun | None] = asyncio.Queue()
        self._current: OpenRun | None = None
        self._uncommitted: list[OpenRun] = []

    async def run(self, jobs: Sequence[Job], first: RunCounter, previous: int) -> list[Manifest]:
        """Do all jobs; the records of the runs that were committed, the last of them complete.

        `first` is the first of these runs, `previous` the newest run with parts before them. Raises TransientError,
        and then no further run is committed.
        """
        await self._open(first)
        waiting = list(reversed(jobs))
        try:
            async with _first_error_only(), asyncio.TaskGroup() as tasks:
                committer = tasks.create_task(self._commit_all(previous))
                workers = [tasks.create_task(self._work(waiting)) for _ in range(min(self._connections, len(jobs)))]
                await asyncio.gather(*workers)
                assert self._current is not None
                self._current.close()
                await self._opened.put(None)
        except TotesysError:
            await self._discard_parts()
            raise
        return committer.result()

    async def _discard_parts(self) -> None:
        """Remove the parts of the runs that are given up."""
        keys = [key for run in self._uncommitted for key in run.keys]
        try:
            await self._lake.ingest.delete(keys)
        except TotesysError as error:
            log.warning(LogEvent.PART_DELETION_FAILED, objects=len(keys), error=str(error), next="no run names them")

    @property
    def _connections(self) -> int:
        everything = self._extraction.start.mark is None
        return self._settings.full_connections if everything else self._settings.connections

    async def _open(self, counter: RunCounter) -> None:
        self._current = OpenRun(counter.lake, counter.last)
        self._uncommitted.append(self._current)
        await self._opened.put(self._current)

    async def _work(self, waiting: list[Job]) -> None:
        if not waiting:
            return
        async with self._open_source() as source:
            await source.share_snapshot(self._extraction.sight.snapshot)
            parts = PartWriter(self._lake.ingest, self._model, self._extraction, self._settings.part_bytes)
            try:
                while assigned := await self._next(waiting):
                    await parts.copy(source, *assigned)
                await parts.finish()
            except BaseException:
                await parts.abort()
                raise

    async def _next(self, waiting: list[Job]) -> tuple[OpenRun, Job] | None:
        async with self._turn:
            if not waiting:
                return None
            assert self._current is not None
            # Reference tables are joined, so they stay together; they come first, and are not cut anyway. Keys come
            # last, and belong to the run that completes the extraction.
            if waiting[-1].cut and self._current.bytes >= self._settings.run_bytes:
                self._current.close()
                await self._open(await self._lake.claim_run_number())
            self._current.begin()
            return self._current, waiting.pop()

    async def _commit_all(self, previous: int) -> list[Manifest]:
        committed: list[Manifest] = []
        run = await self._opened.get()
        while run is not None:
            await run.finished.wait()
            following = await self._opened.get()
            # From here on it may be committed, even if the answer is lost.
            self._uncommitted.remove(run)
            manifest = run.manifest(
                self._extraction,
                first=committed[0].run if committed else run.number,
                previous=previous,
                complete=following is None,
            )
            await self._commit(manifest)
            committed.append(manifest)
            previous = previous if manifest.empty else manifest.run
            run = following
        return committed

    async def _commit(self, manifest: Manifest) -> None:
        # Whoever has lost the lock may have been overtaken by another extraction.
        if not await self._holder.holds_lock():
            raise DatabaseUnavailable(f"Run {manifest.run} lost its lock on the source and is given up.")
        await self._lake.commit(manifest)
        log.info(
            LogEvent.RUN_COMPLETED,
            stage="ingest",
            run=manifest.run,
            complete=manifest.complete,
            duration_s=manifest.seconds,
            rows={name: table.rows for name, table in manifest.tables.items()},
            size_bytes=sum(table.bytes for table in manifest.tables.values()),
        )


@asynccontextmanager
async def _first_error_only() -> AsyncIterator[None]:
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group

"""An extraction: jobs run on several connections that share one snapshot, their parts become runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from totesys.errors import DatabaseUnavailable
from totesys.lake.bucket import Bucket
from totesys.lake.keys import part_key
from totesys.lake.lake import Lake
from totesys.lake.records import Manifest
from totesys.lake.upload import Upload
from totesys.logs import logger
from totesys.schema import Model
from totesys.table import Capture, SourceTable
from totesys_ingest.baseline import Snapshot
from totesys_ingest.plan import Job
from totesys_ingest.run_writer import Extraction, OpenRun
from totesys_ingest.settings import IngestSettings
from totesys_ingest.source import Source, csv_header

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
        snapshot: Snapshot,
        extraction: Extraction,
    ) -> None:
        self._model = model
        self._lake = lake
        self._settings = settings
        self._open_source = open_source
        self._holder = holder
        self._snapshot = snapshot
        self._extraction = extraction
        self._turn = asyncio.Lock()
        self._opened: asyncio.Queue[OpenRun | None] = asyncio.Queue()
        self._current: OpenRun | None = None

    async def run(self, jobs: Sequence[Job], previous: int) -> list[Manifest]:
        """Do all jobs; the records of the runs that were committed, the last of them complete.

        `previous` is the newest run with parts before these. Raises TransientError, and then no further run
        is committed.
        """
        await self._open()
        waiting = list(reversed(jobs))
        async with _first_error_only(), asyncio.TaskGroup() as tasks:
            committer = tasks.create_task(self._commit_all(previous))
            workers = [
                tasks.create_task(self._work(waiting)) for _ in range(min(self._settings.connections, len(jobs)))
            ]
            await asyncio.gather(*workers)
            assert self._current is not None
            self._current.close()
            await self._opened.put(None)
        return committer.result()

    async def _open(self) -> None:
        counter = await self._lake.claim_run_number()
        self._current = OpenRun(counter.lake, counter.last)
        await self._opened.put(self._current)

    async def _work(self, waiting: list[Job]) -> None:
        if not waiting:
            return
        async with self._open_source() as source:
            await source.share_snapshot(self._snapshot)
            part: _OpenPart | None = None
            try:
                while assigned := await self._next(waiting):
                    run, job = assigned
                    if part is not None and not part.takes(run, job.table):
                        await part.finish()
                        part = None
                    part = part or self._open_part(run, job.table)
                    await part.add(source, job)
                if part is not None:
                    await part.finish()
            except BaseException:
                if part is not None:
                    await part.abort()
                raise

    async def _next(self, waiting: list[Job]) -> tuple[OpenRun, Job] | None:
        async with self._turn:
            if not waiting:
                return None
            assert self._current is not None
            # Reference tables are joined, so they stay together; they come first, and are not cut anyway.
            cut = waiting[-1].table.capture is Capture.CHANGES
            if cut and self._current.bytes >= self._settings.run_bytes:
                self._current.close()
                await self._open()
            self._current.begin()
            return self._current, waiting.pop()

    def _open_part(self, run: OpenRun, table: SourceTable) -> "_OpenPart":
        since = self._extraction.xmin_before if table.capture is Capture.CHANGES else None
        enough = self._settings.part_bytes // 2
        return _OpenPart(self._lake.ingest, self._model.lake_schema(table), run, table, since, enough)

    async def _commit_all(self, previous: int) -> list[Manifest]:
        committed: list[Manifest] = []
        run = await self._opened.get()
        while run is not None:
            await run.finished.wait()
            following = await self._opened.get()
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
            "run successful",
            stage="ingest",
            run=manifest.run,
            complete=manifest.complete,
            seconds=manifest.seconds,
            rows={name: table.rows for name, table in manifest.tables.items()},
            bytes=sum(table.bytes for table in manifest.tables.values()),
        )


class _OpenPart:
    """A part that is being written, of one job or of several that gave too few rows for a part of their own.

    Of a table captured as changes there is none without rows, but a join needs all its sides.
    """

    def __init__(
        self, bucket: Bucket, schema: str, run: OpenRun, table: SourceTable, since: int | None, enough: int
    ) -> None:
        self._bucket = bucket
        self._schema = schema
        self._run = run
        self._table = table
        self._since = since
        self._enough = enough
        self._started = time.monotonic()
        self._upload: Upload | None = None
        self._bytes = 0
        self._rows = 0
        self._jobs = 0

    def takes(self, run: OpenRun, table: SourceTable) -> bool:
        """Whether another job's rows may be added: those of the same table and run, until there are `enough` bytes."""
        return run is self._run and table is self._table and self._bytes < self._enough

    async def add(self, source: Source, job: Job) -> None:
        """Stream the rows of a job, which is at an end for the run when the part is."""
        self._jobs += 1
        self._rows += await source.copy(job, self._since, self._write)

    async def finish(self) -> None:
        """Put the part, if there is one, and end its jobs."""
        if self._upload is None and self._table.capture is Capture.SNAPSHOT:
            await self._begin()
        if self._upload is not None:
            part = await self._upload.finish(self._rows)
            self._run.add(self._table, part, time.monotonic() - self._started)
        self._run.end(self._jobs)

    async def abort(self) -> None:
        """Leave no object behind."""
        if self._upload is not None:
            await self._upload.abort()

    async def _write(self, data: bytes) -> None:
        upload = self._upload or await self._begin()
        await upload.write(data)
        self._bytes += len(data)
        self._run.bytes += len(data)

    async def _begin(self) -> Upload:
        number = self._run.next_part(self._table)
        key = part_key(self._schema, self._table.name, self._run.number, number, "csv")
        self._upload = Upload(self._bucket, key)
        await self._upload.write(csv_header(self._table))
        return self._upload


@asynccontextmanager
async def _first_error_only() -> AsyncIterator[None]:
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group

"""Runs the jobs of an extraction on several connections that share one snapshot, and commits the runs they fill."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from totesys.errors import DatabaseUnavailable, TooManyConnections, TotesysError
from totesys.lake.records import Manifest, RunCounter
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.run_work import RunWork, begin
from totesys.transactions import Position
from totesys_ingest.extraction_jobs import Job
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.open_run import ExtractionSpec, OpenRun
from totesys_ingest.part_writer import PartWriter
from totesys_ingest.source_connection import SourceConnection
from totesys_ingest.source_history import read_position

log = logger("totesys.ingest.extract")

OpenSource = Callable[[], AbstractAsyncContextManager[SourceConnection]]


@dataclass
class Extractor:
    """Runs jobs in order, several at once, and commits the runs that they fill in order.

    A job belongs to the run that is open when it begins. So each run holds a stretch of the jobs' order, the first run
    holds all reference tables, and what a fact refers to is never in a later run than the fact. `lock_holder` is the
    connection that holds the extraction's lock and snapshot.
    """

    spec: ExtractionSpec
    lake: Lake
    settings: IngestSettings
    open_source: OpenSource
    lock_holder: SourceConnection
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    # One statement at a time runs on the lock holder.
    _holder_free: asyncio.Lock = field(default_factory=asyncio.Lock)
    _opened: asyncio.Queue[OpenRun | None] = field(default_factory=asyncio.Queue)
    _uncommitted: list[OpenRun] = field(default_factory=list)
    _works: list[RunWork] = field(default_factory=list)
    _position: Position | None = field(init=False)

    def __post_init__(self) -> None:
        self._position = self.spec.position or self.spec.last_position

    async def run(self, jobs: Sequence[Job], first: RunCounter, previous: int) -> list[Manifest]:
        """Run all jobs, and return the manifests of the committed runs. The last one completes the extraction.

        `first` is the number of the first run, `previous` the newest earlier run with parts. Raises TransientError,
        and then commits no further run.
        """
        self._open(first)
        waiting = list(reversed(jobs))
        everything = self.spec.start.mark is None
        connections = self.settings.full_connections if everything else self.settings.connections
        try:
            async with _first_error_only(), asyncio.TaskGroup() as tasks:
                committer = tasks.create_task(self._commit_all(previous))
                workers = [tasks.create_task(self._work(waiting)) for _ in range(min(connections, len(jobs)))]
                await asyncio.gather(*workers)
                if self.spec.position is None:
                    self._position = await self._late_position()
                self._current.close()
                self._opened.put_nowait(None)
        except BaseException as error:
            for work in self._works:
                work.end(error)
            if isinstance(error, TotesysError):
                await self._discard_parts()
            raise
        return committer.result()

    @property
    def _current(self) -> OpenRun:
        return self._uncommitted[-1]

    def _open(self, counter: RunCounter) -> None:
        self._works.append(begin("ingest", counter.last))
        self._uncommitted.append(OpenRun(counter, self._works[-1]))
        self._opened.put_nowait(self._current)

    async def _discard_parts(self) -> None:
        """Delete the parts of the runs that will not be committed."""
        keys = [key for run in self._uncommitted for key in run.part_keys]
        try:
            await self.lake.ingest.delete(keys)
        except TotesysError as error:
            next_ = "the objects stay, and no run uses them"
            log.warning(LogEvent.PART_DELETION_FAILED, objects=len(keys), error=str(error), next=next_)

    async def _work(self, waiting: list[Job]) -> None:
        if not waiting:
            return
        async with self._reader() as (source, turn):
            parts = PartWriter(self.lake.ingest, self.spec, self.settings.part_bytes)
            try:
                while assigned := await self._next(waiting):
                    async with turn:
                        await parts.copy(source, *assigned)
                await parts.finish()
            except BaseException:
                await parts.abort()
                raise

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[tuple[SourceConnection, AbstractAsyncContextManager[None]]]:
        """A connection that reads the snapshot, and the turn to wait for before each use.

        Where the server allows no further connection, the lock holder reads, too.
        """
        async with AsyncExitStack() as stack:
            try:
                source = await stack.enter_async_context(self.open_source())
            except TooManyConnections:
                yield self.lock_holder, self._holder_free
                return
            await source.share_snapshot(self.spec.snapshot.id)
            yield source, nullcontext()

    async def _late_position(self) -> Position:
        """The source's position, read by the lock holder when its transaction has served all jobs."""
        async with self._holder_free:
            await self.lock_holder.end_transaction()
            return await read_position(self.lock_holder.connection, self.spec.snapshot, self.spec.last_position)

    async def _next(self, waiting: list[Job]) -> tuple[OpenRun, Job] | None:
        async with self._turn:
            if not waiting:
                return None
            # Reference tables come first and stay together, because they are joined. Keys come last, and belong to the
            # run that completes the extraction.
            if waiting[-1].may_begin_run and self._current.bytes >= self.settings.run_bytes:
                self._current.close()
                self._open(await self.lake.claim_run_number())
            self._current.jobs += 1
            return self._current, waiting.pop()

    async def _commit_all(self, previous: int) -> list[Manifest]:
        committed: list[Manifest] = []
        run = await self._opened.get()
        while run is not None:
            await run.finished.wait()
            following = await self._opened.get()
            # From here on the run may be committed, even if the answer is lost.
            self._uncommitted.remove(run)
            manifest = run.manifest(
                self.spec,
                first=committed[0].run if committed else run.number,
                previous=previous,
                complete=following is None,
                position=self._position,
            )
            await self._commit(manifest)
            run.work.rows = {name: table.rows for name, table in manifest.tables.items()}
            run.work.end()
            committed.append(manifest)
            previous = previous if manifest.empty else manifest.run
            run = following
        return committed

    async def _commit(self, manifest: Manifest) -> None:
        # Without the lock, another extraction may have overtaken this one.
        async with self._holder_free:
            holds_lock = await self.lock_holder.holds_lock()
        if not holds_lock:
            raise DatabaseUnavailable(f"Run {manifest.run} lost its lock on the source. Ingest extracts again.")
        await self.lake.commit(manifest)
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

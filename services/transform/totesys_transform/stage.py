"""Transform: what happens on a wake-up."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from totesys.errors import TerminalError
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.service.resumable_replay import Replay
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_transform.run import RunTransform
from totesys_transform.settings import TransformSettings

log = logger("totesys.transform")


@dataclass
class Transform:
    """The stage: every run that ingest committed and transform did not, oldest first."""

    lake: Lake
    model: Model
    name: str = "transform"
    database: str | None = None
    default_trigger: RunsTrigger | None = RECONCILE
    # Every run up to this one is done, which a restart finds out again: what load has done, this stage had.
    _done: int | None = None

    @property
    def background(self) -> Mapping[str, Task]:
        """Nothing."""
        return {}

    async def check(self) -> None:
        """Transform needs nothing but the lake and its queue."""

    async def work(self, wakeup: RunsTrigger) -> None:
        """Transform the runs that the wake-up names again, then all that are undone.

        A run that cannot be transformed does not keep the others waiting: its error is raised after them. What ingest
        commits meanwhile has events of its own, and while runs are done again it is not kept waiting for them.
        """
        failures: dict[int, TerminalError] = {}
        pending = partial(self._transform_undone, failures)
        if wakeup.to_replay:
            again = partial(self._transform, again=True)
            await Replay(self.lake, self.name, wakeup).replay(self.lake.runs_with_parts, again, pending)
        await pending()
        for failure in failures.values():
            raise failure

    async def _transform_undone(self, failures: dict[int, TerminalError]) -> None:
        for run in await self._undone():
            if run in failures:
                continue
            try:
                await self._transform(run, again=False)
            except TerminalError as error:
                failures[run] = error

    async def _undone(self) -> list[int]:
        if self._done is None:
            self._done = await self.lake.newest_loaded()
        ingested = await self.lake.ingested(after=self._done)
        processed = set(await self.lake.processed_runs(after=self._done))
        undone = [run for run, empty in ingested.items() if not empty and run not in processed]
        self._done = max((run for run in ingested if not undone or run < undone[0]), default=self._done)
        return undone

    async def _transform(self, run: int, *, again: bool) -> None:
        async with self.lake.failures_recorded(run, self.name):
            manifest = await self.lake.manifest(run)
            assert manifest is not None
            processed = await RunTransform(self.model, self.lake, manifest, again=again).transform()
            await self.lake.commit_processed(processed, again=again)
        rows = {name: table.rows for name, table in processed.tables.items()}
        quarantined = {name: table.rows for name, table in processed.quarantine.items()}
        if quarantined:
            log.warning(LogEvent.ROWS_QUARANTINED, run=run, rows=quarantined)
        log.info(
            LogEvent.RUN_COMPLETED,
            run=run,
            duration_s=processed.seconds,
            rows=rows,
            quarantined=quarantined,
            **metrics(
                {"stage": self.name},
                RunSeconds=(processed.seconds, "Seconds"),
                RowsTransformed=(sum(rows.values()), "Count"),
                RowsQuarantined=(sum(quarantined.values()), "Count"),
            ),
        )


@asynccontextmanager
async def open_transform(settings: TransformSettings, lake: Lake) -> AsyncIterator[Transform]:
    """The stage. Raises ModelError."""
    yield Transform(lake, load_model(settings.model))

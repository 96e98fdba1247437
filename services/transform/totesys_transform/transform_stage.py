"""The transform stage: transforms pending runs, and replays runs on request."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from totesys.errors import TerminalError
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger, metrics
from totesys.schema import Model, load_model
from totesys.service.background import Task
from totesys.service.resumable_replay import Replay
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_transform.run_transform import RunTransform
from totesys_transform.transform_settings import TransformSettings

log = logger("totesys.transform")


@dataclass
class Transform:
    """The stage: transforms every run that ingest committed and transform did not, oldest first."""

    lake: Lake
    model: Model
    name: str = "transform"
    database: str | None = None
    default_trigger: RunsTrigger | None = RECONCILE
    # Every run up to this one is transformed. A restart begins with the newest run that load has recorded.
    _done: int | None = None
    _checked: dict[str, int] = field(default_factory=dict)

    @property
    def background(self) -> Mapping[str, Task]:
        """No background tasks."""
        return {}

    async def check(self) -> None:
        """Transform depends on nothing but the lake and its queue."""

    async def work(self, trigger: RunsTrigger) -> None:
        """Replay the runs that the trigger names, then transform all pending ones.

        A run that cannot be transformed does not delay the others: its error is raised after them. During a replay,
        pending runs are transformed between the replayed ones. What ingest commits meanwhile has its own events.
        """
        failures: dict[int, TerminalError] = {}
        pending = partial(self._transform_pending, failures)
        if trigger.to_replay:
            replay = partial(self._transform, replay=True)
            await Replay(self.lake, self.name, trigger).replay(self.lake.runs_with_parts, replay, pending)
        await pending()
        for failure in failures.values():
            raise failure

    async def _transform_pending(self, failures: dict[int, TerminalError]) -> None:
        for run in await self._pending():
            if run in failures:
                continue
            try:
                await self._transform(run, replay=False)
            except TerminalError as error:
                failures[run] = error

    async def _pending(self) -> list[int]:
        if self._done is None:
            self._done = await self.lake.newest_loaded()
        ingested = await self.lake.ingested(after=self._done)
        processed = set(await self.lake.processed_runs(after=self._done))
        pending = [run for run, empty in ingested.items() if not empty and run not in processed]
        self._done = max((run for run in ingested if not pending or run < pending[0]), default=self._done)
        return pending

    async def _transform(self, run: int, *, replay: bool) -> None:
        async with self.lake.failures_recorded(run, self.name) as work:
            manifest = await self.lake.manifest(run)
            assert manifest is not None
            processed = await RunTransform(self.model, self.lake, manifest, self._checked, replay=replay).transform()
            await self.lake.commit_processed(processed, again=replay)
            work.rows = rows = {name: table.rows for name, table in processed.tables.items()}
        quarantined = {name: table.rows for name, table in processed.quarantine.items()}
        if quarantined:
            log.warning(LogEvent.ROWS_QUARANTINED, run=run, rows=quarantined)
        log.info(
            LogEvent.RUN_COMPLETED,
            run=run,
            duration_s=processed.seconds,
            rows=rows,
            quarantined=quarantined,
            left_out=sorted(processed.left_out),
            **metrics(
                self.name,
                RunSeconds=processed.seconds,
                RowsTransformed=sum(rows.values()),
                RowsQuarantined=sum(quarantined.values()),
            ),
        )


@asynccontextmanager
async def open_transform(settings: TransformSettings, lake: Lake) -> AsyncIterator[Transform]:
    """The stage with its model. Raises ModelError."""
    yield Transform(lake, load_model(settings.model))

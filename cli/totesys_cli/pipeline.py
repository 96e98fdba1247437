"""The pipeline on one machine: a local lake, and the three services against two databases."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import httpx

from totesys.log_events import LogEvent
from totesys.service.runs import RunDetail
from totesys.stage_names import STAGES
from totesys_cli.command_errors import StageFailed
from totesys_cli.lakehouse.local_catalog import LocalCatalog, local_catalog
from totesys_cli.local.emulator import Emulator
from totesys_cli.options import Databases
from totesys_cli.service_processes import LAKEHOUSE, PROCESS_ENDED, ServiceEvent, Services, run_services
from totesys_infra import data_plane_template

# The delay before the next try if another extraction of the same source is in progress.
BUSY_SECONDS = 1.0
# The services wait for a database that is down for as long as it takes; the caller of one extraction does not.
OUTAGE_SECONDS = 60.0


@dataclass
class Pipeline:
    """The running pipeline. `lake` is the address of S3 and SQS; `on_event` gets every log line of the services.

    `catalog` registers the lakehouse's tables, if the pipeline has one.
    """

    lake: str
    services: Services
    http: httpx.AsyncClient
    on_event: Callable[[ServiceEvent], None]
    catalog: LocalCatalog | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _done: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    _runs: set[int] = field(default_factory=set)
    _busy: bool = False
    _given_up: str | None = None
    _ended: str | None = None

    async def trigger(self, stage: str, **body: str | int) -> str:
        """Trigger a service; the id of the message. Raises StageFailed."""
        answer = await self._request("POST", stage, "/trigger", body)
        return str(answer.json()["message_id"])

    async def extract(self, mode: str = "changes") -> list[int]:
        """Extract once and wait until the warehouse has everything in the lake; the runs completed meanwhile.

        The events of S3 do the work; the triggers sent here complete once nothing is pending. Raises StageFailed.
        """
        self._runs.clear()
        self._given_up = None
        # Ingest skips a tick while another extraction is in progress, perhaps for another lake.
        self._busy = True
        while self._busy:
            self._busy = False
            await self.finish(await self.trigger("ingest", mode=mode))
            if self._busy:
                await self.watch(BUSY_SECONDS)
        await self.finish(await self.trigger("transform"))
        await self.finish(await self.trigger("load"))
        if LAKEHOUSE in self.services.addresses:
            await self.finish(await self.trigger(LAKEHOUSE))
        return sorted(self._runs)

    async def run(self, number: int) -> RunDetail:
        """What each stage did with a run. Raises StageFailed."""
        return RunDetail.model_validate((await self._request("GET", "load", f"/runs/{number}")).json())

    async def extract_runs(self, mode: str = "changes") -> list[RunDetail]:
        """As `extract`, with what each stage did with the runs."""
        return [await self.run(number) for number in await self.extract(mode)]

    @property
    def ended(self) -> bool:
        """Whether the process of a service has ended."""
        return self._ended is not None

    async def listen(self) -> None:
        """Take the services' log lines as they come, until cancelled."""
        while True:
            event = await self.services.events.get()
            self._take(event)
            self.on_event(event)

    async def watch(self, seconds: float) -> None:
        """Let time pass. Raises StageFailed if a service's process ends meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._ended is None:
                    await self._next()
        if self._ended:
            raise StageFailed(self._ended)

    def address_lines(self) -> list[str]:
        """The addresses of the console, the lake and the services."""
        addresses = self.services.addresses
        return [
            f"  console   {addresses['load']}/",
            f"  lake      {self.lake} (S3 and SQS, for --endpoint of status, dlq and others)",
            *(f"  {stage:<9} {addresses[stage]}/docs" for stage in (*STAGES, LAKEHOUSE) if stage in addresses),
            *([f"  catalog   {self.catalog.dsn}"] if self.catalog else []),
        ]

    async def _request(
        self, method: str, stage: str, path: str, body: Mapping[str, str | int] | None = None
    ) -> httpx.Response:
        try:
            answer = await self.http.request(method, f"{self.services.addresses[stage]}{path}", json=body)
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            raise StageFailed(f"{stage} does not answer {method} {path}: {error}") from error

    def _take(self, event: ServiceEvent) -> None:
        fields = event.fields
        if event.name == LogEvent.MESSAGE_PROCESSED:
            self._done.append(fields["message_id"])
        elif event.name == LogEvent.RUN_COMPLETED:
            self._runs.add(fields["run"])
        elif event.name == LogEvent.EXTRACTION_DEFERRED:
            self._busy = not fields["waits"]
        elif event.name == LogEvent.MESSAGE_FAILED and fields["next"] == "dead-letter queue":
            self._given_up = f"{event.service} failed: {fields['error']}"
        elif event.name == LogEvent.DEPENDENCIES_UNAVAILABLE and fields["waited_s"] > OUTAGE_SECONDS:
            self._given_up = f"{event.service} cannot continue: {' '.join(fields['dependencies'].values())}"
        elif event.name == PROCESS_ENDED:
            self._ended = f"The process of {event.service} ended. See its log (--log)."
        self._news.set()

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def finish(self, message_id: str) -> None:
        """Wait until a message is processed. Raises StageFailed if a service gives one up or has ended."""
        while message_id not in self._done:
            if reason := self._given_up or self._ended:
                raise StageFailed(reason)
            await self._next()


@asynccontextmanager
async def run_pipeline(
    databases: Databases,
    *,
    on_event: Callable[[ServiceEvent], None],
    state: Path | None = None,
    schedule: str | None = None,
    ports: Mapping[str, int],
    log: IO[str] | None = None,
    lakehouse: bool = False,
    capture: str | None = None,
) -> AsyncIterator[Pipeline]:
    """Start the lake and the services; stop them at the end.

    `state` keeps the lake between calls; `schedule` is an EventBridge rate; `ports` are those of the three services, 0
    for a free one. With `lakehouse`, that service runs beside load. `capture` is ingest's setting, if not that of the
    environment. Raises LocalStackError.
    """
    # The services inherit a trigger token from the environment.
    token = os.environ.get("TOTESYS_TRIGGER_TOKEN")
    headers = {b"Authorization": f"Bearer {token}".encode()} if token else None
    with await asyncio.to_thread(Emulator.start, state) as emulator, local_catalog(state) as catalog:
        apply = partial(emulator.apply, lakehouse=lakehouse)
        plane = await asyncio.to_thread(apply, data_plane_template(), "totesys", schedule)
        environment = {**databases.environment(), **(catalog.environment() if lakehouse else {})}
        environment |= {"TOTESYS_CAPTURE": capture} if capture else {}
        async with (
            run_services(plane, environment, ports, log) as services,
            # A service may close an idle connection just when it is used again.
            httpx.AsyncClient(
                headers=headers, timeout=30, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False
            ) as http,
        ):
            pipeline = Pipeline(plane.endpoint_url, services, http, on_event, catalog if lakehouse else None)
            listener = asyncio.create_task(pipeline.listen())
            try:
                yield pipeline
            finally:
                listener.cancel()

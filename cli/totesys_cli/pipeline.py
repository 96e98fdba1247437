"""The pipeline on one machine: a local lake and the three services against two databases."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from totesys.log_events import LogEvent
from totesys.service.runs import RunDetail
from totesys_cli.databases import Databases
from totesys_cli.errors import StageFailed
from totesys_cli.local.emulator import Emulator
from totesys_cli.services import Event, Services, run_services
from totesys_infra import data_plane_template

# How soon an extraction is tried again when another one of the same source is at work.
BUSY_SECONDS = 1.0
# The services wait for a database that is down as long as it takes; who waits for one extraction does not.
OUTAGE_SECONDS = 60.0


@dataclass
class Pipeline:
    """The running pipeline. `lake` is where S3 and SQS answer; `on_event` sees every log line of the services."""

    lake: str
    services: Services
    http: httpx.AsyncClient
    on_event: Callable[[Event], None]
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _done: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    _runs: set[int] = field(default_factory=set)
    _busy: bool = False
    _given_up: str | None = None
    _ended: str | None = None

    async def trigger(self, stage: str, **wakeup: str) -> str:
        """Wake a service; the id of the message. Raises StageFailed."""
        answer = await self._request("POST", stage, "/trigger", wakeup)
        return str(answer.json()["message_id"])

    async def extract(self, mode: str = "changes") -> list[int]:
        """One extraction, until the warehouse has all that the lake has; the runs at work meanwhile.

        The events of S3 do the work. The wake-ups sent here are done when nothing is undone. Raises StageFailed.
        """
        self._runs.clear()
        self._given_up = None
        await self._extract(mode)
        await self._finish(await self.trigger("transform"))
        await self._finish(await self.trigger("load"))
        return sorted(self._runs)

    async def run(self, number: int) -> RunDetail:
        """What the stages did with a run. Raises StageFailed."""
        return RunDetail.model_validate((await self._request("GET", "load", f"/runs/{number}")).json())

    async def _request(
        self, method: str, stage: str, path: str, body: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            answer = await self.http.request(method, f"{self.services.addresses[stage]}{path}", json=body)
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            raise StageFailed(f"{stage} does not answer {method} {path}: {error}") from error

    async def listen(self) -> None:
        """Take the services' log lines as they come, for ever."""
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

    def _take(self, event: Event) -> None:
        if event.name == LogEvent.MESSAGE_PROCESSED:
            self._done.append(event.fields["message_id"])
        elif event.name == LogEvent.RUN_COMPLETED:
            self._runs.add(event.fields["run"])
        elif event.name == LogEvent.EXTRACTION_DEFERRED:
            self._busy = not event.fields["waits"]
        elif event.name == LogEvent.MESSAGE_FAILED and event.fields["next"] == "dead-letter queue":
            self._given_up = f"{event.service} failed: {event.fields['error']}"
        elif event.name == LogEvent.DEPENDENCIES_UNAVAILABLE and event.fields["waited_s"] > OUTAGE_SECONDS:
            self._given_up = f"{event.service} cannot go on: {' '.join(event.fields['dependencies'].values())}"
        elif event.name == "process ended":
            self._ended = f"{event.service} has ended; its log says why"
        self._news.set()

    async def _extract(self, mode: str) -> None:
        """Ingest leaves a wake-up alone while another extraction is at work, perhaps for another lake."""
        while True:
            self._busy = False
            await self._finish(await self.trigger("ingest", mode=mode))
            if not self._busy:
                return
            await self.watch(BUSY_SECONDS)

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _finish(self, message_id: str) -> None:
        while message_id not in self._done:
            if reason := self._given_up or self._ended:
                raise StageFailed(reason)
            await self._next()


@asynccontextmanager
async def run_pipeline(
    databases: Databases,
    *,
    on_event: Callable[[Event], None],
    state: Path | None = None,
    schedule: str | None = None,
    ports: Mapping[str, int],
    log: IO[str] | None = None,
) -> AsyncIterator[Pipeline]:
    """Start the lake and the services, stop them at the end.

    `state` keeps the lake between calls; `schedule` is an EventBridge rate; `ports` are those of the three
    services, 0 for a free one. Raises LocalStackError.
    """
    with await asyncio.to_thread(Emulator.start, state) as emulator:
        plane = await asyncio.to_thread(emulator.apply, data_plane_template(), "totesys", schedule)
        async with (
            run_services(plane, databases.environment(), ports, log) as services,
            # A service closes a connection that is idle, perhaps just when it is used again.
            httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as http,
        ):
            pipeline = Pipeline(plane.endpoint_url, services, http, on_event)
            listener = asyncio.create_task(pipeline.listen())
            try:
                yield pipeline
            finally:
                listener.cancel()

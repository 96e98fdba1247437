"""The pipeline on one machine: a local lake and the three services against two databases."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import httpx
from pydantic import TypeAdapter
from totesys.service.runs import RunDetail
from totesys_infra import data_plane_template

from totesys_cli.databases import Databases
from totesys_cli.errors import StageFailed
from totesys_cli.local.emulator import Emulator
from totesys_cli.services import Event, Services, run_services

T = TypeVar("T")

# If a log line should be lost, the record of runs is asked this often.
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Extraction:
    """What a wake-up of ingest led to. `last_with_parts` is the newest run that the warehouse should have."""

    last_run: int
    last_with_parts: int


@dataclass
class Pipeline:
    """The running pipeline. `on_event` sees every log line of the services."""

    services: Services
    http: httpx.AsyncClient
    on_event: Callable[[Event], None]
    _extractions: dict[str, asyncio.Future[Extraction]] = field(default_factory=dict)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: asyncio.Future[NoReturn] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def trigger(self, mode: str = "changes") -> str:
        """Wake ingest; the id of the message."""
        answer = await self.http.post(f"{self.services.addresses['ingest']}/trigger", json={"mode": mode})
        answer.raise_for_status()
        message_id = str(answer.json()["message_id"])
        self._extraction(message_id)
        return message_id

    async def finish(self, message_id: str) -> Extraction:
        """Wait until all that the wake-up extracted is in the warehouse. Raises StageFailed."""
        extraction = await self._unless_failed(self._extraction(message_id))
        while extraction.last_with_parts and not await self._is_loaded(extraction.last_with_parts):
            self._loaded.clear()
            await self._unless_failed(asyncio.ensure_future(self._next_load()))
        return extraction

    async def runs(self, after: int) -> list[RunDetail]:
        """The runs after `after`, oldest first."""
        newest = (await self._get("/runs?limit=1"))[:1]
        last = int(newest[0]["run"]) if newest else 0
        found = [await self.run(number) for number in range(after + 1, last + 1)]
        return [run for run in found if run is not None]

    async def last_run(self) -> int:
        """The newest run's number; 0 if there is none."""
        newest = await self._get("/runs?limit=1")
        return int(newest[0]["run"]) if newest else 0

    async def run(self, number: int) -> RunDetail | None:
        """A run; None if ingest committed none of this number."""
        answer = await self.http.get(f"{self.services.addresses['ingest']}/runs/{number}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return RunDetail.model_validate(answer.json())

    async def listen(self) -> None:
        """Take the services' log lines as they come, for ever."""
        while True:
            event = await self.services.events.get()
            self._take(event)
            self.on_event(event)

    def _take(self, event: Event) -> None:
        if event.name == "extraction successful" and (message_id := event.fields.get("message_id")):
            extraction = Extraction(event.fields["last_run"], event.fields["last_with_parts"])
            if not (future := self._extraction(message_id)).done():
                future.set_result(extraction)
        elif event.name == "run successful" and event.service == "load":
            self._loaded.set()
        elif (reason := _gave_up(event)) and not self._failure.done():
            self._failure.set_exception(StageFailed(f"{event.service} failed: {reason}"))
            # Whoever waits for nothing now hears of it when next they do.
            self._failure.exception()

    def _extraction(self, message_id: str) -> asyncio.Future[Extraction]:
        return self._extractions.setdefault(message_id, asyncio.get_running_loop().create_future())

    async def _unless_failed(self, awaited: "asyncio.Future[T]") -> T:
        either: set[asyncio.Future[Any]] = {awaited, self._failure}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
        awaited.cancel()
        return self._failure.result()

    async def _next_load(self) -> None:
        try:
            await asyncio.wait_for(self._loaded.wait(), POLL_SECONDS)
        except TimeoutError:
            return

    async def _is_loaded(self, number: int) -> bool:
        run = await self.run(number)
        return run is not None and run.stages["load"].state == "done"

    async def _get(self, path: str) -> list[Mapping[str, Any]]:
        answer = await self.http.get(f"{self.services.addresses['ingest']}{path}")
        answer.raise_for_status()
        return TypeAdapter(list[Mapping[str, Any]]).validate_python(answer.json())


def _gave_up(event: Event) -> str | None:
    if event.name == "message failed" and event.fields.get("next") == "dead-letter queue":
        return str(event.fields["error"])
    if event.name == "process ended":
        return "its process has ended; its log says why"
    return None


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
            httpx.AsyncClient(timeout=30) as http,
        ):
            pipeline = Pipeline(services, http, on_event)
            listener = asyncio.create_task(pipeline.listen())
            try:
                yield pipeline
            finally:
                listener.cancel()

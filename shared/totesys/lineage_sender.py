"""Sends the OpenLineage events of a service to an HTTP address or a file, without holding up its work."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import SecretStr

from totesys.lineage_events import Datasets, run_event
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import error_fields
from totesys.run_work import RunWork, observing
from totesys.schema import Model, load_model
from totesys.service_settings import ServiceSettings
from totesys.stage_names import STAGES

log = logger("totesys.lineage")

# What waits beyond this is dropped: a receiver that is down must not fill the memory.
MOST_WAITING = 1000
SEND_SECONDS = 10.0
TRIES = 3


class LineageSender:
    """Makes an event of each begin and end, and sends the events in order."""

    def __init__(self, settings: ServiceSettings, model: Model) -> None:
        self._settings = settings
        self._model = model
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._dropped = 0
        self._datasets = _datasets(settings)

    def take(self, work: RunWork) -> None:
        """Queue the event of a begin or an end."""
        if work.stage not in STAGES:
            return
        try:
            event = run_event(work, datetime.now(UTC), self._settings.metrics_namespace, self._model, self._datasets)
            self._waiting.put_nowait(json.dumps(event))
        except asyncio.QueueFull:
            self._dropped += 1
        except Exception as error:  # noqa: BLE001 - lineage must not stop the work that it describes
            log.error(LogEvent.LINEAGE_FAILED, **error_fields(error), next="the event is lost")

    async def send(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            await self._send(await self._waiting.get())
            self._waiting.task_done()

    async def flush(self) -> None:
        """Wait until everything is sent, but not long."""
        try:
            await asyncio.wait_for(self._waiting.join(), SEND_SECONDS)
        except TimeoutError:
            self._dropped += self._waiting.qsize()
        if self._dropped:
            log.warning(LogEvent.LINEAGE_FAILED, error=f"{self._dropped} events were dropped.", next="they are lost")

    async def _send(self, event: str) -> None:
        error = ""
        for attempt in range(TRIES):
            await asyncio.sleep(attempt)
            if not (error := await self._try(event)):
                return
        log.warning(LogEvent.LINEAGE_FAILED, error=error, next="the event is lost, and the next one is sent")

    async def _try(self, event: str) -> str:
        """Send an event once. Returns what failed."""
        url = self._settings.openlineage_url or ""
        try:
            if url.startswith("file:"):
                await asyncio.to_thread(_append, Path(unquote(urlsplit(url).path)), event)
                return ""
            headers = {"Content-Type": "application/json", **_authorization(self._settings.openlineage_api_key)}
            async with (
                ClientSession(timeout=ClientTimeout(total=SEND_SECONDS)) as http,
                http.post(url, data=event.encode(), headers=headers) as answer,
            ):
                return "" if answer.status < 300 else f"The receiver of lineage answered {answer.status}."
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            return f"The receiver of lineage cannot be reached: {type(error).__name__}. Check TOTESYS_OPENLINEAGE_URL."


def _append(file: Path, event: str) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(f"{event}\n")


def _authorization(key: SecretStr | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def _datasets(settings: ServiceSettings) -> Datasets:
    """Where the tables are, as far as this service knows."""

    def secret(name: str) -> str:
        found = getattr(settings, name, None)
        return found.get_secret_value() if found else ""

    return Datasets(
        settings.ingest_bucket,
        settings.processed_bucket,
        secret("source_dsn"),
        getattr(settings, "source_schema", ""),
        secret("warehouse_dsn"),
        getattr(settings, "warehouse_schema", ""),
    )


@asynccontextmanager
async def lineage_sent(settings: ServiceSettings) -> AsyncIterator[None]:
    """Send events during the block, if an address is set."""
    if not settings.openlineage_url:
        yield
        return
    sender = LineageSender(settings, load_model(settings.model))
    sending = asyncio.create_task(sender.send(), name="lineage")
    try:
        with observing(sender.take):
            yield
        await sender.flush()
    finally:
        sending.cancel()

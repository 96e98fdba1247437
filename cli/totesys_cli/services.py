"""The three services as processes, and what they log."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from totesys.log_events import LogEvent
from totesys.stage_names import STAGES
from totesys_cli.local.data_plane import DataPlane
from totesys_cli.local.errors import LocalStackError
from totesys_cli.local.process import Guarded

START_SECONDS = 60.0
# A service ends its run at hand first; on one machine nobody waits longer than this.
GRACE_SECONDS = 20.0
_DATABASES = {
    "ingest": {"TOTESYS_SOURCE_DSN"},
    "transform": set[str](),
    "load": {"TOTESYS_SOURCE_DSN", "TOTESYS_WAREHOUSE_DSN"},
}


@dataclass(frozen=True)
class Event:
    """One log line of a service."""

    service: str
    name: str
    fields: Mapping[str, Any]


@dataclass
class Services:
    """The running services: where each listens, and their log lines as they come."""

    addresses: dict[str, str] = field(default_factory=dict)
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)


def service_command(stage: str) -> list[str]:
    """What starts a service as a process."""
    return [sys.executable, "-m", f"totesys_{stage}"]


@asynccontextmanager
async def run_services(
    plane: DataPlane, environment: Mapping[str, str], ports: Mapping[str, int], log: IO[str] | None
) -> AsyncIterator[Services]:
    """Start ingest, transform and load on loopback, stop them in this order at the end.

    `environment` are their TOTESYS_ settings beside those of the data plane; `ports` are 0 for free ones;
    their log lines also go to `log`. Raises LocalStackError if one does not start.
    """
    services = Services()
    processes: list[Guarded] = []
    try:
        for stage in STAGES:
            given = {**os.environ, **plane.environment(), **_settings(plane, stage), **environment}
            settings = {name: value for name, value in given.items() if _is_for(stage, name)}
            settings["TOTESYS_PORT"] = str(ports[stage])
            process = Guarded.start(
                service_command(stage),
                env=settings,
                stdout=subprocess.PIPE,
                grace=GRACE_SECONDS,
            )
            processes.append(process)
            assert process.stdout is not None
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=_read_lines, args=(stage, process.stdout, loop, services.events, log), daemon=True
            ).start()
        await _wait_until_started(services)
        yield services
    finally:
        for process in processes:
            process.request_stop()
        for process in processes:
            await asyncio.to_thread(process.stop)


def _is_for(stage: str, variable: str) -> bool:
    """Whether a service may see a variable: those of a database are for those that use it."""
    if variable.startswith("TOTESYS_") and variable.endswith(("_DSN", "_PASSWORD", "_SECRETS_DIR")):
        return variable in _DATABASES[stage]
    return stage != "transform" or not variable.startswith(("PG", "POSTGRES_"))


def _settings(plane: DataPlane, stage: str) -> dict[str, str]:
    return {
        "TOTESYS_INGEST_BUCKET": plane.ingest_bucket,
        "TOTESYS_PROCESSED_BUCKET": plane.processed_bucket,
        "TOTESYS_QUEUE_URL": getattr(plane, f"{stage}_queue_url"),
        "TOTESYS_DLQ_URL": getattr(plane, f"{stage}_dlq_url"),
        "TOTESYS_HOST": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }


def _read_lines(
    stage: str, output: IO[bytes], loop: asyncio.AbstractEventLoop, events: asyncio.Queue[Event], log: IO[str] | None
) -> None:
    with output:
        for line in output:
            event = _parse(stage, line.decode(errors="replace").rstrip())
            if log is not None:
                log.write(f"{line.decode(errors='replace')}")
                log.flush()
            if loop.is_closed():
                continue
            loop.call_soon_threadsafe(events.put_nowait, event)
    if not loop.is_closed():
        loop.call_soon_threadsafe(events.put_nowait, Event(stage, "process ended", {}))


def _parse(stage: str, line: str) -> Event:
    try:
        fields = json.loads(line)
        return Event(stage, str(fields.get("event", "")), fields)
    except (ValueError, AttributeError):
        return Event(stage, "text", {"text": line})


async def _wait_until_started(services: Services) -> None:
    waiting = set(STAGES)
    try:
        async with asyncio.timeout(START_SECONDS):
            while waiting:
                event = await services.events.get()
                if event.name == LogEvent.SERVICE_LISTENING:
                    services.addresses[event.service] = f"http://{event.fields['host']}:{event.fields['port']}"
                elif event.name == LogEvent.SERVICE_STARTED:
                    waiting.discard(event.service)
                elif event.name in {LogEvent.SERVICE_START_FAILED, "process ended"}:
                    reason = event.fields.get("error", "it ended while it started; see its log")
                    raise LocalStackError(f"{event.service} does not start: {reason}")
    except TimeoutError:
        raise LocalStackError(f"{', '.join(sorted(waiting))} did not start within {START_SECONDS:.0f} s.") from None

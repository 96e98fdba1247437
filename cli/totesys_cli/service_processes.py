"""The three services as processes, and their log lines."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from totesys.log_events import LogEvent
from totesys.stage_names import STAGES
from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.supervised_process import SupervisedProcess

START_SECONDS = 60.0
# A stopping service finishes its run first, but no longer than this.
GRACE_SECONDS = 20.0
PROCESS_ENDED = "process ended"
# Memory comes from one arena of the C library, Arrow's too, and large blocks are kept for the next part: less CPU time
# and a lower peak. Read when a process starts; the images set the same.
ALLOCATOR = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}
# The service that not every pipeline has.
LAKEHOUSE = "lakehouse"
_DATABASES = {
    "ingest": {"TOTESYS_SOURCE_DSN"},
    "transform": set[str](),
    "load": {"TOTESYS_SOURCE_DSN", "TOTESYS_WAREHOUSE_DSN"},
    LAKEHOUSE: {"TOTESYS_LAKEHOUSE_CATALOG_DSN"},
}


@dataclass(frozen=True)
class ServiceEvent:
    """One log line of a service."""

    service: str
    name: str
    fields: Mapping[str, Any]


@dataclass
class Services:
    """The running services: their addresses, and their log lines as they come."""

    addresses: dict[str, str] = field(default_factory=dict)
    events: asyncio.Queue[ServiceEvent] = field(default_factory=asyncio.Queue)


def service_command(stage: str) -> list[str]:
    """The command that starts a service as a process."""
    return [sys.executable, "-m", f"totesys_{stage}"]


@asynccontextmanager
async def run_services(
    plane: LocalDataPlane, environment: Mapping[str, str], ports: Mapping[str, int], log: IO[str] | None
) -> AsyncIterator[Services]:
    """Start ingest, transform and load on loopback, and the lakehouse where it has a queue; stop them in this order.

    `environment` are their TOTESYS_ settings beside those of the data plane; `ports` are 0 for free ones; `log`
    receives their log lines. Raises LocalStackError if one does not start.
    """
    services = Services()
    processes: list[SupervisedProcess] = []
    loop = asyncio.get_running_loop()
    stages = (*STAGES, LAKEHOUSE) if plane.lakehouse_queue_url else STAGES
    try:
        for stage in stages:
            settings = _settings(plane, stage, ports.get(stage, 0), log)
            given = {**ALLOCATOR, **os.environ, **plane.environment(), **settings, **environment}
            process = SupervisedProcess.start(
                service_command(stage),
                env={name: value for name, value in given.items() if _is_for(stage, name)},
                stdout=subprocess.PIPE,
                grace=GRACE_SECONDS,
            )
            processes.append(process)
            assert process.stdout is not None
            arguments = (stage, process.stdout, loop, services.events, log)
            threading.Thread(target=_read_lines, args=arguments, daemon=True).start()
        await _wait_until_started(services, stages)
        yield services
    finally:
        for process in processes:
            process.request_stop()
        for process in processes:
            await asyncio.to_thread(process.stop)


def _is_for(stage: str, variable: str) -> bool:
    """Whether a service may see a variable: only services that use a database see how to log in to it."""
    if variable.startswith("TOTESYS_") and variable.endswith(("_DSN", "_PASSWORD", "_SECRETS_DIR")):
        return variable in _DATABASES[stage]
    return stage != "transform" or not variable.startswith(("PG", "POSTGRES_"))


def _settings(plane: LocalDataPlane, stage: str, port: int, log: IO[str] | None) -> dict[str, str]:
    return {
        "TOTESYS_INGEST_BUCKET": plane.ingest_bucket,
        "TOTESYS_PROCESSED_BUCKET": plane.processed_bucket,
        "TOTESYS_QUEUE_URL": getattr(plane, f"{stage}_queue_url"),
        "TOTESYS_DLQ_URL": getattr(plane, f"{stage}_dlq_url"),
        "TOTESYS_HOST": LOOPBACK,
        "TOTESYS_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        # The console shows the lines of a run.
        **({"TOTESYS_LOG_FILE": str(Path(log.name).resolve())} if log else {}),
    }


def _read_lines(
    stage: str,
    output: IO[bytes],
    loop: asyncio.AbstractEventLoop,
    events: asyncio.Queue[ServiceEvent],
    log: IO[str] | None,
) -> None:
    def put(event: ServiceEvent) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(events.put_nowait, event)

    with output:
        for raw in output:
            line = raw.decode(errors="replace")
            if log is not None:
                log.write(line)
                log.flush()
            put(_parse(stage, line.rstrip()))
    put(ServiceEvent(stage, PROCESS_ENDED, {}))


def _parse(stage: str, line: str) -> ServiceEvent:
    try:
        fields = json.loads(line)
        return ServiceEvent(stage, str(fields.get("event", "")), fields)
    except (ValueError, AttributeError):
        return ServiceEvent(stage, "text", {"text": line})


async def _wait_until_started(services: Services, stages: Iterable[str]) -> None:
    waiting = set(stages)
    try:
        async with asyncio.timeout(START_SECONDS):
            while waiting:
                event = await services.events.get()
                if event.name == LogEvent.SERVICE_LISTENING:
                    services.addresses[event.service] = f"http://{event.fields['host']}:{event.fields['port']}"
                elif event.name == LogEvent.SERVICE_STARTED:
                    waiting -= {event.service}
                elif event.name in {LogEvent.SERVICE_START_FAILED, PROCESS_ENDED}:
                    reason = event.fields.get("error", "its process ended. See its log (--log).")
                    raise LocalStackError(f"{event.service} does not start: {reason}")
    except TimeoutError:
        raise LocalStackError(
            f"{', '.join(sorted(waiting))} did not start within {START_SECONDS:.0f} s. See the log (--log)."
        ) from None

"""A service as a process of its own, with what it logs."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.preloaded import service_command
from totesys.log_events import LogEvent
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.supervised_process import SupervisedProcess

LONGEST_WAIT = 120.0
# Makes a process run the library's model.
LIBRARY = {
    "TOTESYS_MODEL": "tests.models.library",
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
}


def environment(stage: str, plane: LocalDataPlane, **settings: str) -> dict[str, str]:
    """What the process of a stage sees; `settings` are its own, without the prefix and in small letters."""
    names = {
        "ingest_bucket": plane.ingest_bucket,
        "processed_bucket": plane.processed_bucket,
        "queue_url": getattr(plane, f"{stage}_queue_url"),
        "dlq_url": getattr(plane, f"{stage}_dlq_url"),
        "port": "0",
        **settings,
    }
    return {**os.environ, **plane.environment(), **{f"TOTESYS_{name.upper()}": text for name, text in names.items()}}


def run_to_end(stage: str, variables: Mapping[str, str]) -> tuple[int, list[dict[str, Any]]]:
    """Run a service that is expected to end by itself; its exit code and what it logged."""
    ended = subprocess.run(
        service_command(stage),
        env=dict(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LONGEST_WAIT,
        check=False,
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


class Service:
    """A running service."""

    def __init__(self, process: SupervisedProcess) -> None:
        self._process = process
        self.url = ""
        # All that has been read of it.
        self.printed: list[bytes] = []

    async def event(self, name: str, **fields: object) -> dict[str, Any]:
        """Wait for the next log line called `name` that has these fields."""
        output = self._process.stdout
        assert output is not None
        async with asyncio.timeout(LONGEST_WAIT):
            while line := await asyncio.to_thread(output.readline):
                self.printed.append(line)
                event: dict[str, Any] = json.loads(line)
                if event["event"] == name and fields.items() <= event.items():
                    return event
        raise AssertionError(f"the service ended without {name}")

    async def stop(self) -> int:
        """Send SIGTERM; the exit code."""
        return await asyncio.to_thread(self._process.stop)

    async def last_words(self) -> bytes:
        """Stop it; all that it has printed from its beginning to its end."""
        await self.stop()
        assert self._process.stdout is not None
        self.printed += await asyncio.to_thread(self._process.stdout.readlines)
        return b"".join(self.printed)


@asynccontextmanager
async def running(stage: str, variables: Mapping[str, str]) -> AsyncIterator[Service]:
    """A service that has started; stopped at the end."""
    process = SupervisedProcess.start(
        service_command(stage),
        env=variables,
        stdout=subprocess.PIPE,
        # What is no log line must not come at all, and is no JSON.
        stderr=subprocess.STDOUT,
        grace=20,
    )
    service = Service(process)
    try:
        listening = await service.event(LogEvent.SERVICE_LISTENING)
        service.url = f"http://{listening['host']}:{listening['port']}"
        await service.event(LogEvent.SERVICE_STARTED)
        yield service
    finally:
        await service.stop()
        if process.stdout is not None:
            process.stdout.close()

"""How long services take from the start of their process until they work."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime

from bench import processes
from totesys.log_events import LogEvent
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.supervised_process import SupervisedProcess
from totesys_cli.options import Databases

LONGEST_SECONDS = 60.0
# A service's log line for each point that it reaches, in order.
POINTS = (LogEvent.SERVICE_LISTENING, LogEvent.SERVICE_STARTED, LogEvent.MESSAGE_PROCESSED)


async def launch(stages: Sequence[str], plane: LocalDataPlane, databases: Databases) -> dict[str, dict[str, float]]:
    """Start these services at once, wait until each has done its first message, and stop them.

    Gives, for each service, the seconds from the start of its process to each of POINTS. A message must be waiting
    for each. Raises TimeoutError, or RuntimeError if one ends instead.
    """
    started = [(stage, _start(stage, plane, databases)) for stage in stages]
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            reached = await asyncio.gather(*(asyncio.to_thread(_follow, stage, process) for stage, process in started))
        return dict(zip(stages, reached, strict=True))
    finally:
        for _, process in started:
            process.request_stop()
        for _, process in started:
            await asyncio.to_thread(process.stop)


def _start(stage: str, plane: LocalDataPlane, databases: Databases) -> SupervisedProcess:
    settings = {
        "ingest_bucket": plane.ingest_bucket,
        "processed_bucket": plane.processed_bucket,
        "queue_url": getattr(plane, f"{stage}_queue_url"),
        "dlq_url": getattr(plane, f"{stage}_dlq_url"),
        "port": "0",
    }
    environment = {f"TOTESYS_{name.upper()}": value for name, value in settings.items()}
    return SupervisedProcess.start(
        [sys.executable, "-m", f"totesys_{stage}"],
        env={**os.environ, **plane.environment(), **databases.environment(), **environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        grace=20,
    )


def _follow(stage: str, process: SupervisedProcess) -> dict[str, float]:
    """Read the log until the last point is reached; the seconds to each."""
    assert process.stdout is not None
    reached: dict[str, float] = {}
    for line in process.stdout:
        fields = json.loads(line)
        if fields["event"] in POINTS:
            reached[fields["event"]] = datetime.fromisoformat(fields["timestamp"]).timestamp()
        if POINTS[-1] in reached:
            began = processes.started_at(processes.descendant_running(f"totesys_{stage}"))
            return {point: moment - began for point, moment in reached.items()}
    raise RuntimeError(f"{stage} ended before its first message was done.")

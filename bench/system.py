"""Our system as its users run it: the services as processes, the lake in the emulator, and their logs."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes
from totesys.log_events import LogEvent
from totesys.stage_names import STAGES
from totesys_cli.options import Databases
from totesys_cli.pipeline import Pipeline, run_pipeline
from totesys_cli.service_processes import ServiceEvent

EMULATOR = "emulator"
POSTGRES = "postgres"


class NotMeasurable(Exception):
    """Something failed and recovered during the measurement: its time says nothing."""


@dataclass(frozen=True)
class TimedExtraction:
    """The seconds from the trigger until everything was in the warehouse. `runs` are those that held rows."""

    seconds: float
    runs: tuple[int, ...]


@dataclass
class ArrivedEvents:
    """The services' log events, with their arrival times here, as `time.perf_counter` counts."""

    arrived: list[tuple[float, ServiceEvent]] = field(default_factory=list)

    def take(self, event: ServiceEvent) -> None:
        self.arrived.append((time.perf_counter(), event))

    def require_no_failure(self) -> None:
        """Raise NotMeasurable if a message failed, even if its retry succeeded."""
        for _, event in self.arrived:
            if event.name == LogEvent.MESSAGE_FAILED:
                raise NotMeasurable(f"{event.service} failed during the measurement: {event.fields['error']}")


def read_extraction(arrived: Iterable[tuple[float, ServiceEvent]], started: float) -> TimedExtraction:
    """The one extraction in a log, triggered at `started`. Raises NotMeasurable unless all its runs are loaded."""
    loaded: dict[int, float] = {}
    ended: tuple[float, tuple[int, ...]] | None = None
    for moment, event in arrived:
        if event.service == "load" and event.name == LogEvent.RUN_COMPLETED:
            loaded[event.fields["run"]] = moment
        elif event.name == LogEvent.EXTRACTION_COMPLETED:
            ended = moment, tuple(event.fields["runs"])
    if ended is None:
        raise NotMeasurable("Ingest logged no extraction.")
    moment, runs = ended
    if set(runs) - set(loaded):
        raise NotMeasurable(f"The extraction created the runs {runs}; load logged {sorted(loaded)}.")
    # An extraction without changes loads nothing, and ends when ingest knows that.
    return TimedExtraction((loaded[runs[-1]] if runs else moment) - started, runs)


@dataclass
class System:
    """The running system. Its processes started with it, so their peaks belong to its own work."""

    pipeline: Pipeline
    databases: Databases
    log: ArrivedEvents
    pids: Mapping[str, int]

    async def extract(self) -> TimedExtraction:
        """Trigger an extraction and wait until it is visible and nothing is pending.

        Raises StageFailed, or NotMeasurable if anything failed on the way.
        """
        self.log.arrived.clear()
        started = time.perf_counter()
        await self.pipeline.extract()
        self.log.require_no_failure()
        return read_extraction(self.log.arrived, started)

    def cpu_seconds(self) -> dict[str, float]:
        """The CPU time so far of each service, the emulator and all of Postgres."""
        return {group: processes.cpu_seconds(pid) for group, pid in self.pids.items()}

    def peak_bytes(self) -> dict[str, int]:
        """The peak of resident memory so far of each service."""
        return {stage: processes.peak_bytes(self.pids[stage]) for stage in STAGES}


@asynccontextmanager
async def run_system(source: str, warehouse: str, postgres: int, lake: Path | None = None) -> AsyncIterator[System]:
    """Start the system between two databases of the server whose process id is `postgres`.

    The folder `lake` keeps the lake; without one it is empty, and ends with the system. Raises LocalStackError.
    """
    databases = Databases(source, warehouse)
    log = ArrivedEvents()
    async with run_pipeline(databases, on_event=log.take, state=lake, ports=dict.fromkeys(STAGES, 0)) as pipeline:
        pids = {
            **processes.service_pids(),
            EMULATOR: processes.descendant_running("totesys_cli.local.emulated"),
            POSTGRES: postgres,
        }
        yield System(pipeline, databases, log, pids)

"""How soon the services work after their start, and what they use while nothing changes."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bench import processes
from bench.bench_server import require_equal
from bench.counting_proxy import CountingProxy, counting_proxy
from bench.measurement import Case
from bench.system import POSTGRES, NotMeasurable, run_system
from bench.trial import Trial
from totesys.log_events import LogEvent
from totesys.stage_names import STAGES
from totesys.triggers import ExtractTrigger, RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.supervised_process import SupervisedProcess
from totesys_cli.options import Databases
from totesys_cli.service_processes import Services, run_services
from totesys_infra import data_plane_template

LONGEST_SECONDS = 60.0
TICK_SECONDS = 5.0
SILENT_SECONDS = 3.0
# A service's log event for each point that it reaches, in order.
POINTS = (LogEvent.SERVICE_LISTENING, LogEvent.SERVICE_STARTED, LogEvent.MESSAGE_PROCESSED)
# As the schedule sends it.
TICK = ExtractTrigger(trigger="schedule").model_dump_json()
TICKS_AN_HOUR = 12
QUIET_MINUTE, IDLE_TICK = "a quiet minute", "an idle tick"
HOUR = f"an hour (60 quiet minutes and {TICKS_AN_HOUR} idle ticks)"


@dataclass(frozen=True)
class Use:
    """What was used in that many seconds: CPU seconds by process, requests by operation."""

    seconds: float
    cpu: Mapping[str, float]
    requests: Mapping[str, float]


NO_USE = Use(0, {}, {})


@dataclass(frozen=True)
class _Idle:
    """A loaded system without its services: the emulator with its lake, and both databases."""

    trial: Trial
    emulator: Emulator
    plane: LocalDataPlane
    databases: Databases

    async def send(self, queue: str, body: str) -> None:
        """Send a message past the services and the proxy that counts their requests."""
        await asyncio.to_thread(self.emulator.sqs.send_message, QueueUrl=queue, MessageBody=body)

    async def new_queues(self, name: str) -> LocalDataPlane:
        """The same buckets with queues that nobody has polled: an interrupted poll may still take a message."""
        fresh = await asyncio.to_thread(self.emulator.apply, data_plane_template(), name)
        await self.empty_queues(fresh)
        return replace(fresh, ingest_bucket=self.plane.ingest_bucket, processed_bucket=self.plane.processed_bucket)

    async def empty_queues(self, plane: LocalDataPlane) -> None:
        """Remove the test messages that S3 sends for each new notification."""
        for queue in (plane.transform_queue_url, plane.load_queue_url):
            await asyncio.to_thread(self.emulator.sqs.purge_queue, QueueUrl=queue)


async def measure(trial: Trial) -> None:
    """Record how long the services take to start, alone and together, and what they use when idle."""
    server = trial.server
    lake = server.folder / "lake"
    async with server.database("warehouse") as warehouse:
        trial.say("start and idle: first load")
        async with run_system(server.source, warehouse, server.postgres.pid, lake) as system:
            await system.extract()
            await require_equal(server.source, warehouse)
        async with _emulator(lake) as (emulator, plane):
            idle = _Idle(trial, emulator, plane, Databases(server.source, warehouse))
            await _measure_start(idle)
            await _measure_idle(idle)


@asynccontextmanager
async def _emulator(lake: Path) -> AsyncIterator[tuple[Emulator, LocalDataPlane]]:
    """An emulator with the objects of an existing lake."""
    emulator = await asyncio.to_thread(Emulator.start, lake)
    try:
        yield emulator, await asyncio.to_thread(emulator.apply, data_plane_template())
    finally:
        await asyncio.to_thread(emulator.stop)


async def _measure_start(idle: _Idle) -> None:
    trial = idle.trial
    for number in range(1, trial.size.rounds + 1):
        for stages in (STAGES, *((stage,) for stage in STAGES)):
            how = "alone" if len(stages) == 1 else "with the others"
            trial.say(f"start and idle: start of {', '.join(stages)}, round {number}")
            fresh = await idle.new_queues(f"{how.replace(' ', '-')}-{stages[0]}-{number}")
            # A message waits for each service: its work at start without one belongs to no message in the log.
            await idle.send(fresh.ingest_queue_url, TICK)
            for queue in (fresh.transform_queue_url, fresh.load_queue_url):
                await idle.send(queue, RunsTrigger().model_dump_json())
            for stage, seconds in (await launch(stages, fresh, idle.databases)).items():
                for point in POINTS:
                    quantity = f"seconds until {point}"
                    trial.record(Case.START_AND_IDLE, f"{stage}, {how}", quantity, seconds[point], round=number)


async def launch(stages: Sequence[str], plane: LocalDataPlane, databases: Databases) -> dict[str, dict[str, float]]:
    """Start these services at once, wait until each has processed its first message, and stop them.

    Returns, for each service, the seconds from the start of its process to each of POINTS. A message must be waiting
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
    """Read a service's log until it has reached every point."""
    assert process.stdout is not None
    reached: dict[str, float] = {}
    for line in process.stdout:
        fields = json.loads(line)
        if fields["event"] in POINTS:
            reached[fields["event"]] = datetime.fromisoformat(fields["timestamp"]).timestamp()
        if POINTS[-1] in reached:
            began = processes.started_at(processes.descendant_running(f"totesys_{stage}"))
            return {point: moment - began for point, moment in reached.items()}
    raise RuntimeError(f"{stage} ended before it had processed its first message.")


async def _measure_idle(idle: _Idle) -> None:
    trial = idle.trial
    seconds = trial.size.idle_time.total_seconds()
    ticks = max(1, int(seconds / TICK_SECONDS))
    await idle.empty_queues(idle.plane)
    async with (
        counting_proxy(idle.plane.endpoint_url) as proxy,
        run_services(
            proxy.in_front_of(idle.plane), idle.databases.environment(), dict.fromkeys(STAGES, 0), None
        ) as services,
    ):
        pids = {**processes.service_pids(), POSTGRES: trial.server.postgres.pid}
        # The work of the start is over once nothing was logged for a while.
        with suppress(TimeoutError):
            while True:
                await asyncio.wait_for(services.events.get(), SILENT_SECONDS)
        trial.say(f"start and idle: {seconds:.0f} s without a tick")
        before = _now(pids, proxy)
        await asyncio.sleep(seconds)
        between = _now(pids, proxy)
        quiet = _combined(between, 1, before, -1)
        trial.say(f"start and idle: {ticks} ticks, one every {TICK_SECONDS:g} s, nothing changed")
        for _ in range(ticks):
            await idle.send(idle.plane.ingest_queue_url, TICK)
            await asyncio.sleep(TICK_SECONDS)
        ticking = _combined(_now(pids, proxy), 1, between, -1)
        _require_empty_extractions(services, ticks)
    _record(trial, a_minute(quiet), a_tick(ticking, quiet, ticks))


def _now(pids: Mapping[str, int], proxy: CountingProxy) -> Use:
    cpu = {name: processes.cpu_seconds(pid) for name, pid in pids.items()}
    return Use(asyncio.get_running_loop().time(), cpu, Counter(proxy.counts))


def a_minute(quiet: Use) -> Use:
    """The use of a minute without a tick."""
    return _combined(quiet, 60 / quiet.seconds)


def a_tick(ticking: Use, quiet: Use, ticks: int) -> Use:
    """The use of a tick: the use with ticks, less that of the same time without, divided by the ticks."""
    return _combined(ticking, 1 / ticks, quiet, -ticking.seconds / quiet.seconds / ticks)


def an_hour(minute: Use, tick: Use) -> Use:
    """The use of an hour without changes: 60 quiet minutes and TICKS_AN_HOUR ticks."""
    return _combined(minute, 60, tick, TICKS_AN_HOUR)


def _combined(one: Use, factor: float, other: Use = NO_USE, other_factor: float = 0) -> Use:
    def of(ones: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
        names = dict.fromkeys([*ones, *others])
        return {name: ones.get(name, 0) * factor + others.get(name, 0) * other_factor for name in names}

    seconds = one.seconds * factor + other.seconds * other_factor
    return Use(seconds, of(one.cpu, other.cpu), of(one.requests, other.requests))


def _require_empty_extractions(services: Services, ticks: int) -> None:
    """Raise NotMeasurable unless each tick was done and found nothing."""
    empty = 0
    while not services.events.empty():
        event = services.events.get_nowait()
        empty += event.name == LogEvent.EXTRACTION_COMPLETED and event.fields["empty"]
    if empty != ticks:
        raise NotMeasurable(f"{empty} of {ticks} ticks were done and found nothing.")


def _record(trial: Trial, minute: Use, tick: Use) -> None:
    hour = an_hour(minute, tick)
    operations = sorted(name for name, number in hour.requests.items() if number)
    for when, use in ((QUIET_MINUTE, minute), (IDLE_TICK, tick), (HOUR, hour)):
        for name, seconds in use.cpu.items():
            trial.record(Case.START_AND_IDLE, name, f"CPU seconds, {when}", seconds)
        for name in operations:
            trial.record(Case.START_AND_IDLE, name, f"requests, {when}", use.requests.get(name, 0))

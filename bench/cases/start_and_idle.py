"""How soon the services work, and what they use while nothing changes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench import processes
from bench.counting_proxy import CountingProxy, counting_proxy
from bench.launch import POINTS, launch
from bench.measurement import Case
from bench.stand import require_equal
from bench.system import POSTGRES, NotMeasurable, run_system
from bench.trial import Trial
from totesys.log_events import LogEvent
from totesys.stage_names import STAGES
from totesys.triggers import ExtractTrigger, RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.options import Databases
from totesys_cli.service_processes import Services, run_services
from totesys_infra import data_plane_template

TICK_SECONDS = 5.0
SILENT_SECONDS = 3.0
# As the schedule sends it.
TICK = ExtractTrigger(trigger="schedule").model_dump_json()
TICKS_AN_HOUR = 12
QUIET_MINUTE, IDLE_TICK = "a quiet minute", "an idle tick"
HOUR = f"an hour (60 quiet minutes and {TICKS_AN_HOUR} idle ticks)"


@dataclass(frozen=True)
class Use:
    """What was used in so many seconds: CPU seconds by process, requests by operation."""

    seconds: float
    cpu: Mapping[str, float]
    requests: Mapping[str, float]


NOTHING = Use(0, {}, {})


async def measure(trial: Trial) -> None:
    """Record how long the services take to start, alone and together, and what they use when idle."""
    stand = trial.stand
    lake = stand.folder / "lake"
    async with stand.database("warehouse") as warehouse:
        trial.say("start and idle: first load")
        async with run_system(stand.source, warehouse, stand.server.pid, lake) as system:
            await system.extract()
            await require_equal(stand.source, warehouse)
        databases = Databases(stand.source, warehouse)
        async with _emulator(lake) as (emulator, plane):
            await _measure_start(trial, emulator, plane, databases)
            await _measure_idle(trial, emulator, plane, databases)


@asynccontextmanager
async def _emulator(lake: Path) -> AsyncIterator[tuple[Emulator, LocalDataPlane]]:
    """An emulator with the objects of a lake that is there already."""
    emulator = await asyncio.to_thread(Emulator.start, lake)
    try:
        yield emulator, await asyncio.to_thread(emulator.apply, data_plane_template())
    finally:
        await asyncio.to_thread(emulator.stop)


async def _wake(emulator: Emulator, plane: LocalDataPlane) -> None:
    """Have a message wait for each service: what it does at its start without one is logged as nobody's."""
    await _tick(emulator, plane)
    for queue in (plane.transform_queue_url, plane.load_queue_url):
        await asyncio.to_thread(emulator.sqs.send_message, QueueUrl=queue, MessageBody=RunsTrigger().model_dump_json())


async def _tick(emulator: Emulator, plane: LocalDataPlane) -> None:
    """Wake ingest as the schedule does: not through the services, nor the proxy that counts their requests."""
    await asyncio.to_thread(emulator.sqs.send_message, QueueUrl=plane.ingest_queue_url, MessageBody=TICK)


async def _measure_start(trial: Trial, emulator: Emulator, plane: LocalDataPlane, databases: Databases) -> None:
    for number in range(1, trial.size.rounds + 1):
        for stages in (STAGES, *((stage,) for stage in STAGES)):
            how = "alone" if len(stages) == 1 else "with the others"
            trial.say(f"start and idle: start of {', '.join(stages)}, round {number}")
            fresh = await _new_queues(emulator, plane, f"{how.replace(' ', '-')}-{stages[0]}-{number}")
            await _wake(emulator, fresh)
            for stage, seconds in (await launch(stages, fresh, databases)).items():
                for point in POINTS:
                    quantity = f"seconds until {point}"
                    trial.record(Case.START_AND_IDLE, f"{stage}, {how}", quantity, seconds[point], number=number)


async def _new_queues(emulator: Emulator, plane: LocalDataPlane, name: str) -> LocalDataPlane:
    """The same buckets with queues that nobody has asked: a poll that was broken off may still take a message."""
    fresh = await asyncio.to_thread(emulator.apply, data_plane_template(), name)
    await _empty_queues(emulator, fresh)
    return replace(fresh, ingest_bucket=plane.ingest_bucket, processed_bucket=plane.processed_bucket)


async def _empty_queues(emulator: Emulator, plane: LocalDataPlane) -> None:
    """Remove the messages by which S3 tries out each notification that is set up."""
    for queue in (plane.transform_queue_url, plane.load_queue_url):
        await asyncio.to_thread(emulator.sqs.purge_queue, QueueUrl=queue)


async def _measure_idle(trial: Trial, emulator: Emulator, plane: LocalDataPlane, databases: Databases) -> None:
    seconds = trial.size.idle_time.total_seconds()
    ticks = max(1, int(seconds / TICK_SECONDS))
    await _empty_queues(emulator, plane)
    async with (
        counting_proxy(plane.endpoint_url) as proxy,
        run_services(proxy.in_front_of(plane), databases.environment(), dict.fromkeys(STAGES, 0), None) as services,
    ):
        pids = {**processes.service_pids(), POSTGRES: trial.stand.server.pid}
        await _until_silent(services)
        trial.say(f"start and idle: {seconds:.0f} s without a tick")
        before = _now(pids, proxy)
        await asyncio.sleep(seconds)
        between = _now(pids, proxy)
        quiet = _used(before, between)
        trial.say(f"start and idle: {ticks} ticks, one every {TICK_SECONDS:g} s, nothing changed")
        for _ in range(ticks):
            await _tick(emulator, plane)
            await asyncio.sleep(TICK_SECONDS)
        ticking = _used(between, _now(pids, proxy))
        _require_empty_extractions(services, ticks)
    _record(trial, a_minute(quiet), a_tick(ticking, quiet, ticks))


def _now(pids: Mapping[str, int], proxy: CountingProxy) -> Use:
    cpu = {name: processes.cpu_seconds(pid) for name, pid in pids.items()}
    return Use(asyncio.get_running_loop().time(), cpu, Counter(proxy.counts))


def _used(before: Use, after: Use) -> Use:
    return _combined(after, 1, before, -1)


def a_minute(quiet: Use) -> Use:
    """The use of a minute without a tick."""
    return _combined(quiet, 60 / quiet.seconds)


def a_tick(ticking: Use, quiet: Use, ticks: int) -> Use:
    """What a tick adds: the use while ticks went on, less that of as long a time without, by the ticks."""
    return _combined(ticking, 1 / ticks, quiet, -ticking.seconds / quiet.seconds / ticks)


def an_hour(minute: Use, tick: Use) -> Use:
    """The use of an hour in which nothing changes: 60 quiet minutes and TICKS_AN_HOUR ticks."""
    return _combined(minute, 60, tick, TICKS_AN_HOUR)


def _combined(one: Use, factor: float, other: Use = NOTHING, other_factor: float = 0) -> Use:
    def of(ones: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
        names = dict.fromkeys([*ones, *others])
        return {name: ones.get(name, 0) * factor + others.get(name, 0) * other_factor for name in names}

    seconds = one.seconds * factor + other.seconds * other_factor
    return Use(seconds, of(one.cpu, other.cpu), of(one.requests, other.requests))


async def _until_silent(services: Services) -> None:
    """Wait until the services have done what they do at their start: until they have logged nothing for a while."""
    with suppress(TimeoutError):
        while True:
            await asyncio.wait_for(services.events.get(), SILENT_SECONDS)


def _require_empty_extractions(services: Services, ticks: int) -> None:
    """Raise NotMeasurable unless each tick was done, and found nothing."""
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

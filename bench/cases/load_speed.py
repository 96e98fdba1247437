"""First load and memory: everything in the source into an empty warehouse, by us and by the peers."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from bench.bench_server import require_equal
from bench.measurement import (
    BINARY_PIPE,
    DLT,
    DLT_TUNED,
    MB,
    PGCOPYDB,
    PIPE,
    RAW,
    RAW_AND_STAR,
    SLING,
    STAR,
    TOTESYS,
    Case,
)
from bench.peers import postgres_alone, programs, sling
from bench.peers.measured_command import Usage
from bench.peers.postgres_alone import SOURCE_SCHEMA, TABLES
from bench.processes import cpu_seconds
from bench.system import POSTGRES, System, run_system
from bench.trial import Trial

CLIENT = "client"
# Brings a peer's copy of the source up to date; the seconds that takes.
Tick: TypeAlias = Callable[[], Awaitable[float]]


@asynccontextmanager
async def loaded(trial: Trial) -> AsyncIterator[System]:
    """Let the pipe and our system load the source in turn, record what that took, and keep our last load running.

    Raises WrongResult, NotMeasurable, StageFailed or CommandFailed.
    """
    compared = Case.FIRST_LOAD in trial.cases
    rounds = trial.size.rounds if compared else 1
    for number in range(1, rounds + 1):
        if compared:
            await _pipe(trial, number, PIPE, postgres_alone.TEXT)
            await _pipe(trial, number, BINARY_PIPE, postgres_alone.BINARY)
        async with _ours(trial, number) as system:
            if number == rounds:
                yield system


@asynccontextmanager
async def copied_by_peers(trial: Trial) -> AsyncIterator[Mapping[str, Tick]]:
    """Let each peer load the source, record what that took, and keep the last copies of those that have a tick.

    dlt with its defaults is so slow that it is measured only where loads are compared. pgcopydb and Sling are measured
    where they are installed.
    """
    compared = Case.FIRST_LOAD in trial.cases
    rounds = trial.size.peer_rounds if compared else 1
    for number in range(1, rounds + 1):
        if compared:
            await _student(trial, number)
            if programs.PGCOPYDB is not None:
                await _pgcopydb(trial, number)
            async with _dlt(trial, programs.PYARROW, number, tuned=False):
                pass
        if compared or Case.MEMORY in trial.cases:
            async with _dlt(trial, programs.PYARROW, number):
                pass
        async with AsyncExitStack() as copies:
            ticks: dict[str, Tick] = {}
            if sling.PROGRAM is not None:
                ticks[SLING] = await copies.enter_async_context(_sling(trial, number))
            dlt = DLT_TUNED[programs.CONNECTORX]
            ticks[dlt] = await copies.enter_async_context(_dlt(trial, programs.CONNECTORX, number))
            if number == rounds:
                yield ticks


async def _pipe(trial: Trial, number: int, contender: str, form: str) -> None:
    trial.say(f"first load: {contender}, round {number}")
    server = trial.server
    async with server.database("warehouse") as warehouse:
        before = cpu_seconds(server.postgres.pid)
        usage = await postgres_alone.pipe(server.source, warehouse, form)
        cpu = {CLIENT: usage.cpu_seconds, POSTGRES: cpu_seconds(server.postgres.pid) - before}
        # Its statements are the same in every round: only the first is compared.
        verified = True if number == 1 else None
        if verified:
            await require_equal(server.source, warehouse, TABLES)
    _record_load(trial, contender, STAR, usage.seconds, server.rows, number, verified)
    _record_use(trial, contender, cpu, {CLIENT: usage.peak_bytes}, number)


@asynccontextmanager
async def _ours(trial: Trial, number: int) -> AsyncIterator[System]:
    trial.say(f"first load: {TOTESYS}, round {number}")
    server = trial.server
    async with (
        server.database("warehouse") as warehouse,
        run_system(server.source, warehouse, server.postgres.pid) as system,
    ):
        before = system.cpu_seconds()
        extraction = await system.extract()
        after, peaks = system.cpu_seconds(), system.peak_bytes()
        trial.say("first load: verification")
        await require_equal(server.source, warehouse)
        _record_load(trial, TOTESYS, STAR, extraction.seconds, server.rows, number, verified=True)
        _record_use(trial, TOTESYS, {name: after[name] - before[name] for name in after}, peaks, number)
        trial.record(Case.FIRST_LOAD, STAR, "runs", len(extraction.runs), round=number)
        yield system


@asynccontextmanager
async def _dlt(trial: Trial, backend: str, number: int, *, tuned: bool = True) -> AsyncIterator[Tick]:
    contender, server = DLT_TUNED[backend] if tuned else DLT, trial.server
    trial.say(f"first load: {contender}, round {number}")
    folder = server.folder / f"dlt-{backend}-{server.orders}-{number}"
    folder.mkdir()
    async with server.database(f"warehouse_{backend}") as warehouse:
        before = cpu_seconds(server.postgres.pid)
        raw = await programs.dlt_load(server.source, warehouse, backend, folder, tuned=tuned)
        cpu = {CLIENT: raw.usage.cpu_seconds, POSTGRES: cpu_seconds(server.postgres.pid) - before}
        since = datetime.now(UTC).replace(tzinfo=None)
        _record_load(trial, contender, RAW, raw.seconds, raw.rows, number)
        _record_use(trial, contender, cpu, {CLIENT: raw.usage.peak_bytes}, number)
        if tuned:
            await _star(trial, contender, warehouse, programs.DATASET, raw.seconds, number)

        async def tick() -> float:
            return (await programs.dlt_tick(server.source, warehouse, backend, folder, since)).seconds

        try:
            yield tick
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)


@asynccontextmanager
async def _sling(trial: Trial, number: int) -> AsyncIterator[Tick]:
    trial.say(f"first load: {SLING}, round {number}")
    server = trial.server
    folder = server.folder / f"sling-{server.orders}-{number}"
    folder.mkdir()
    async with server.database("warehouse_sling") as warehouse:
        copy = partial(sling.copy, server.source, warehouse, folder)
        seconds = await _raw_copy(trial, SLING, copy, number)
        await _star(trial, SLING, warehouse, programs.DATASET, seconds, number)

        async def tick() -> float:
            return (await copy(changes=True)).seconds

        try:
            yield tick
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)


async def _pgcopydb(trial: Trial, number: int) -> None:
    trial.say(f"first load: {PGCOPYDB}, round {number}")
    server = trial.server
    async with server.database("warehouse_pgcopydb") as warehouse:
        await programs.prepare_pgcopydb(warehouse)
        copy = partial(programs.pgcopydb_load, server.source, warehouse, server.folder / f"pgcopydb-{number}")
        seconds = await _raw_copy(trial, PGCOPYDB, copy, number)
        await _star(trial, PGCOPYDB, warehouse, SOURCE_SCHEMA, seconds, number)


async def _raw_copy(trial: Trial, contender: str, copy: Callable[[], Awaitable[Usage]], number: int) -> float:
    """Record what a program takes to copy the growing tables; its seconds."""
    server = trial.server
    before = cpu_seconds(server.postgres.pid)
    usage = await copy()
    cpu = {CLIENT: usage.cpu_seconds, POSTGRES: cpu_seconds(server.postgres.pid) - before}
    _record_load(trial, contender, RAW, usage.seconds, server.rows, number)
    _record_use(trial, contender, cpu, {CLIENT: usage.peak_bytes}, number)
    return usage.seconds


async def _star(trial: Trial, contender: str, warehouse: str, schema: str, seconds: float, number: int) -> None:
    """Build the star from a raw copy that took so many seconds, compare it with the source, and record the sum."""
    if Case.FIRST_LOAD not in trial.cases:
        return
    trial.say(f"first load: the star from the copy of {contender}, round {number}")
    built = await postgres_alone.build_star(warehouse, schema)
    await require_equal(trial.server.source, warehouse, TABLES)
    _record_load(trial, contender, RAW_AND_STAR, seconds + built, trial.server.rows, number, verified=True)


async def _student(trial: Trial, number: int) -> None:
    orders = trial.size.student_orders
    # It gets fewer orders than the others.
    contender = f"student script ({orders:,} orders)"
    trial.say(f"first load: {contender}, round {number}")
    async with trial.server.database("warehouse_student") as warehouse:
        run = await programs.student_load(trial.server.source, warehouse, orders)
    _record_load(trial, contender, STAR, run.seconds, run.rows, number)
    _record_use(trial, contender, {CLIENT: run.usage.cpu_seconds}, {}, number)


def _record_load(
    trial: Trial, contender: str, result: str, seconds: float, rows: int, number: int, verified: bool | None = None
) -> None:
    """Record the time of a load, and its rows per second."""
    more: dict[str, Any] = {"contender": contender, "round": number, "rows": rows, "verified": verified}
    for quantity, value in (("seconds", seconds), ("rows/s", rows / seconds)):
        trial.record(Case.FIRST_LOAD, result, quantity, value, **more)


def _record_use(
    trial: Trial, contender: str, cpu: Mapping[str, float], peaks: Mapping[str, float], number: int
) -> None:
    """Record the CPU seconds and the peak bytes of each process in a load."""
    for process, seconds in cpu.items():
        trial.record(Case.FIRST_LOAD, process, "CPU seconds", seconds, contender=contender, round=number)
    for process, peak in peaks.items():
        trial.record(Case.MEMORY, process, "peak MB", peak / MB, contender=contender, round=number)

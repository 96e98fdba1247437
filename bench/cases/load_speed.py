"""First load and memory: everything in the source into an empty warehouse, by us and by the peers."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.bench_server import require_equal
from bench.measurement import (
    BINARY_PIPE,
    DLT,
    DLT_TUNED,
    MB,
    PIPE,
    RAW,
    RAW_AND_STAR,
    STAR,
    TOTESYS,
    Case,
)
from bench.peers import postgres_alone, programs
from bench.peers.postgres_alone import TABLES
from bench.processes import cpu_seconds
from bench.system import POSTGRES, System, run_system
from bench.trial import Trial

CLIENT = "client"


@dataclass(frozen=True)
class DltCopy:
    """A copy of the source's growing tables, as of `since`, that dlt can bring up to date."""

    warehouse: str
    folder: Path
    since: datetime


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
async def copied_by_peers(trial: Trial) -> AsyncIterator[DltCopy]:
    """Let each peer load the source, record what that took, and keep the last copy of dlt with ConnectorX.

    dlt with its defaults is so slow that it is measured only where loads are compared.
    """
    compared = Case.FIRST_LOAD in trial.cases
    rounds = trial.size.peer_rounds if compared else 1
    for number in range(1, rounds + 1):
        if compared:
            await _student(trial, number)
            async with _dlt(trial, programs.PYARROW, number, tuned=False):
                pass
        if compared or Case.MEMORY in trial.cases:
            async with _dlt(trial, programs.PYARROW, number):
                pass
        async with _dlt(trial, programs.CONNECTORX, number) as copy:
            if number == rounds:
                yield copy


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
async def _dlt(trial: Trial, backend: str, number: int, *, tuned: bool = True) -> AsyncIterator[DltCopy]:
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
        if tuned and Case.FIRST_LOAD in trial.cases:
            trial.say(f"first load: the star from the copy of {contender}, round {number}")
            built = await postgres_alone.build_star(warehouse, programs.DATASET)
            await require_equal(server.source, warehouse, TABLES)
            _record_load(trial, contender, RAW_AND_STAR, raw.seconds + built, raw.rows, number, verified=True)
        try:
            yield DltCopy(warehouse, folder, since)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)


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
    """Record what a load used: CPU seconds and peak bytes, by process."""
    for process, seconds in cpu.items():
        trial.record(Case.FIRST_LOAD, process, "CPU seconds", seconds, contender=contender, round=number)
    for process, peak in peaks.items():
        trial.record(Case.MEMORY, process, "peak MB", peak / MB, contender=contender, round=number)

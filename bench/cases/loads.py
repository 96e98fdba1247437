"""First load and memory: everything of the source into an empty warehouse."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.contenders import BINARY_PIPE, PIPE, TOTESYS
from bench.measurement import Case
from bench.peers import pipe
from bench.peers.tables import TABLES
from bench.processes import cpu_seconds
from bench.stand import require_equal
from bench.system import POSTGRES, System, run_system
from bench.trial import MB, Trial

# What a load gives: the source's rows as they are, the warehouse's tables of them, or first one, then the other.
RAW, STAR, RAW_AND_STAR = "raw copy", "star", "raw copy, then star"
CLIENT = "client"


@asynccontextmanager
async def loaded(trial: Trial) -> AsyncIterator[System]:
    """Let the pipe and our system load the source in turn, record what that took, and keep our last load running.

    Raises WrongResult, NotMeasurable, StageFailed or CommandFailed.
    """
    compared = Case.FIRST_LOAD in trial.cases
    rounds = trial.size.rounds if compared else 1
    for number in range(1, rounds + 1):
        if compared:
            await _pipe(trial, number, PIPE, pipe.TEXT)
            await _pipe(trial, number, BINARY_PIPE, pipe.BINARY)
        async with _ours(trial, number) as system:
            if number == rounds:
                yield system


async def _pipe(trial: Trial, number: int, contender: str, form: str) -> None:
    trial.say(f"first load: {contender}, round {number}")
    stand = trial.stand
    async with stand.database("warehouse") as warehouse:
        before = cpu_seconds(stand.server.pid)
        usage = await pipe.load(stand.source, warehouse, form)
        cpu = {CLIENT: usage.cpu_seconds, POSTGRES: cpu_seconds(stand.server.pid) - before}
        # Its statements are the same in every round: the first is compared.
        verified = True if number == 1 else None
        if verified:
            await require_equal(stand.source, warehouse, TABLES)
    record_load(trial, contender, STAR, usage.seconds, stand.rows, number, verified)
    record_use(trial, contender, cpu, {CLIENT: usage.peak_bytes}, number)


@asynccontextmanager
async def _ours(trial: Trial, number: int) -> AsyncIterator[System]:
    trial.say(f"first load: {TOTESYS}, round {number}")
    stand = trial.stand
    async with (
        stand.database("warehouse") as warehouse,
        run_system(stand.source, warehouse, stand.server.pid) as system,
    ):
        before = system.cpu_seconds()
        extraction = await system.extract()
        after, peaks = system.cpu_seconds(), system.peak_bytes()
        trial.say("first load: verification")
        await require_equal(stand.source, warehouse)
        record_load(trial, TOTESYS, STAR, extraction.seconds, stand.rows, number, verified=True)
        record_use(trial, TOTESYS, {name: after[name] - before[name] for name in after}, peaks, number)
        trial.record(Case.FIRST_LOAD, STAR, "runs", len(extraction.runs), number=number)
        yield system


def record_load(
    trial: Trial, contender: str, result: str, seconds: float, rows: int, number: int, verified: bool | None = None
) -> None:
    """Record how long a load took, and its rows a second."""
    for quantity, value in (("seconds", seconds), ("rows/s", rows / seconds)):
        trial.record(
            Case.FIRST_LOAD,
            result,
            quantity,
            value,
            contender=contender,
            number=number,
            rows=rows,
            verified=verified,
        )


def record_use(trial: Trial, contender: str, cpu: Mapping[str, float], peaks: Mapping[str, float], number: int) -> None:
    """Record what a load used: CPU seconds and peak bytes, by process."""
    for process, seconds in cpu.items():
        trial.record(Case.FIRST_LOAD, process, "CPU seconds", seconds, contender=contender, number=number)
    for process, peak in peaks.items():
        trial.record(Case.MEMORY, process, "peak MB", peak / MB, contender=contender, number=number)

"""A step and its limit, measured in turns."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from bench.contenders import TOTESYS
from bench.measurement import Case, Measurement, Record

LIMIT = "limit: "
ROUNDS = 3
MB = 1_000_000

T = TypeVar("T")
Run = Callable[[], Awaitable[object]]


async def nothing() -> None:
    """What comes before a run that needs no preparation."""


def in_thread(work: Callable[..., object], *arguments: object) -> Run:
    """CPU work as the services do it: beside the event loop."""
    return partial(asyncio.to_thread, work, *arguments)


@dataclass(frozen=True)
class Step:
    """The same rows, once by the product's code, once by the least that could do it.

    `limit` says what that is. `bytes` are those of the rows in the form that the step takes or gives. `before` is done
    before every run, and not measured.
    """

    name: str
    rows: int
    bytes: int
    ours: Run
    limit: str
    bare: Run
    before: Run = nothing


@dataclass(frozen=True)
class Meter:
    """Measures steps and records what they took."""

    orders: int
    record: Record
    say: Callable[[str], None]
    rounds: int = ROUNDS

    async def measure(self, step: Step) -> None:
        """Run both in every round, each first in turn; once before that, so that no round finds the caches cold."""
        contenders = [(TOTESYS, step.ours), (f"{LIMIT}{step.limit}", step.bare)]
        for _, run in contenders:
            await step.before()
            await run()
        for number in range(1, self.rounds + 1):
            self.say(f"{step.name}, round {number} of {self.rounds}")
            for contender, run in contenders:
                await step.before()
                self._record(step, contender, number, await _timed(run))
            contenders.reverse()

    def _record(self, step: Step, contender: str, number: int, took: "_Took") -> None:
        figures: Mapping[str, float] = {
            "rows/s": step.rows / took.seconds,
            "MB/s": step.bytes / MB / took.seconds,
            "CPU seconds": took.cpu,
        }
        for quantity, value in figures.items():
            self.record(
                Measurement(
                    case=Case.STAGES,
                    contender=contender,
                    subject=step.name,
                    orders=self.orders,
                    quantity=quantity,
                    value=value,
                    round=number,
                    rows=step.rows,
                )
            )


@dataclass(frozen=True)
class _Took:
    seconds: float
    cpu: float


async def _timed(run: Run) -> _Took:
    cpu, started = _cpu_seconds(), time.perf_counter()
    await run()
    return _Took(time.perf_counter() - started, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended; servers count for nobody."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)

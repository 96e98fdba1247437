"""A step and its limit, measured in turn."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from bench.measurement import LIMIT, MB, TOTESYS, Case, Measurement, Record

ROUNDS = 3

Given = TypeVar("Given")
Run = Callable[[], Awaitable[object]]


class Amount(NamedTuple):
    """What a step processes: rows, and their bytes in the form that the step reads or writes."""

    rows: int
    bytes: int


async def nothing() -> None:
    """The preparation of a run that needs none."""


def in_thread(work: Callable[[Given], object], parts: Sequence[Given]) -> Run:
    """CPU work on each part, beside the event loop as in the services."""
    return partial(asyncio.to_thread, lambda: [work(part) for part in parts])


@dataclass(frozen=True)
class Meter:
    """Measures steps and records what they took."""

    orders: int
    record: Record
    say: Callable[[str], None]
    rounds: int = ROUNDS

    async def measure(
        self, name: str, amount: Amount, ours: Run, limit: str, bare: Run, *, before: Run = nothing
    ) -> None:
        """Measure the product's code (`ours`) and the least work that could do it (`bare`, named `limit`).

        Each is first in turn. Both run once beforehand, so that no round finds cold caches. `before` prepares every
        run, and is not measured.
        """
        contenders = [(TOTESYS, ours), (f"{LIMIT}{limit}", bare)]
        for _, run in contenders:
            await before()
            await run()
        for number in range(1, self.rounds + 1):
            self.say(f"{name}, round {number} of {self.rounds}")
            for contender, run in contenders:
                await before()
                seconds, cpu = await _timed(run)
                figures = {
                    "rows/s": amount.rows / seconds,
                    "MB/s": amount.bytes / MB / seconds,
                    "CPU seconds": cpu,
                }
                for quantity, value in figures.items():
                    self.record(
                        Measurement(
                            case=Case.STAGES,
                            contender=contender,
                            subject=name,
                            orders=self.orders,
                            quantity=quantity,
                            value=value,
                            round=number,
                            rows=amount.rows,
                        )
                    )
            contenders.reverse()


async def _timed(run: Run) -> tuple[float, float]:
    """The seconds and the CPU seconds of a run."""
    cpu, started = _cpu_seconds(), time.perf_counter()
    await run()
    return time.perf_counter() - started, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    """Of this process and its ended children; servers do not count."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)

"""What the system should reach, and what it reached. Pure."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cases.loads import RAW, STAR
from bench.contenders import DLT, DLT_TUNED, PIPE, SCAN, TOTESYS
from bench.figures import Figures, Series
from bench.measurement import Case

_SIGNS = {"≤": operator.le, "<": operator.lt, "≥": operator.ge}

FIRST_LOAD_OF_PIPE = 1.5
DLT_OF_FIRST_LOAD = 4.0
IDLE_TICK_OF_SCAN = 2.0
CHANGED_ROWS = 1_000
TICK_SECONDS = 3.0
MEMORY_GROWTH = 1.15
MEMORY_MB = 512.0
FRESHNESS_SECONDS = 15.0


@dataclass(frozen=True)
class Target:
    """What was wanted of a figure, such as `≤ 1.5`, and the figure. `aim` is what would be better still."""

    name: str
    sign: str
    bound: float
    figure: float
    unit: str = ""
    aim: float | None = None

    @property
    def met(self) -> bool:
        """Whether the figure is as wanted."""
        return bool(_SIGNS[self.sign](self.figure, self.bound))


def targets(figures: Figures) -> list[Target]:
    """The targets whose figures were measured."""
    return [*_first_load(figures), *_tick(figures), *_memory(figures), *_freshness(figures)]


def _first_load(figures: Figures) -> Iterator[Target]:
    for ours in figures.find(Case.FIRST_LOAD, contender=TOTESYS, subject=STAR, quantity="seconds"):
        at = f"first load of {ours.orders:,} orders"
        ratio = figures.ratio(ours, ours._replace(contender=PIPE))
        if ratio is not None:
            yield Target(f"{at}: {TOTESYS} / {PIPE}", "≤", FIRST_LOAD_OF_PIPE, ratio, "×", aim=1.0)
        for peer in (DLT, *DLT_TUNED.values()):
            ratio = figures.ratio(ours._replace(contender=peer, subject=RAW), ours)
            if ratio is not None:
                yield Target(f"{at}: {peer}, {RAW} / {TOTESYS}", "≥", DLT_OF_FIRST_LOAD, ratio, "×")


def _tick(figures: Figures) -> Iterator[Target]:
    ticks = figures.find(Case.TICK, contender=TOTESYS, quantity="seconds")
    for tick in ticks:
        ratio = figures.ratio(tick, tick._replace(contender=SCAN))
        if figures.rows(tick) == 0 and ratio is not None:
            name = f"tick of {tick.orders:,} orders, nothing changed: {TOTESYS} / {SCAN}"
            yield Target(name, "≤", IDLE_TICK_OF_SCAN, ratio, "×")
    largest = max((tick.orders for tick in ticks), default=0)
    for tick in ticks:
        if figures.rows(tick) == CHANGED_ROWS and tick.orders == largest:
            name = f"tick of {tick.orders:,} orders, {tick.subject}: from the trigger until visible"
            yield Target(name, "<", TICK_SECONDS, figures.spread(tick).median, "s")


def _memory(figures: Figures) -> Iterator[Target]:
    peaks = figures.find(Case.MEMORY, contender=TOTESYS, quantity="peak MB")
    for largest in _largest(peaks):
        least = min((peak for peak in peaks if peak.subject == largest.subject), key=lambda peak: peak.orders)
        peak = figures.spread(largest).median
        if least != largest:
            growth = peak / figures.spread(least).median
            name = f"memory of {largest.subject}: {largest.orders:,} orders / {least.orders:,}"
            yield Target(name, "≤", MEMORY_GROWTH, growth, "×")
        yield Target(f"memory of {largest.subject}: {largest.orders:,} orders", "<", MEMORY_MB, peak, "MB")


def _largest(peaks: list[Series]) -> list[Series]:
    """The series of each subject that has the most orders."""
    by_subject: dict[str, Series] = {}
    for peak in sorted(peaks, key=lambda peak: peak.orders):
        by_subject[peak.subject] = peak
    return list(by_subject.values())


def _freshness(figures: Figures) -> Iterator[Target]:
    for p99 in figures.find(Case.FRESHNESS, contender=TOTESYS, subject="p99", quantity="seconds"):
        yield Target("freshness: p99", "<", FRESHNESS_SECONDS, figures.spread(p99).median, "s")

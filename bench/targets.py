"""The performance targets, and the figures that they are compared with. Pure."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Figures
from bench.measurement import DLT, DLT_TUNED, PGCOPYDB, PIPE, RAW, SCAN, SLING, STAR, TOTESYS, Case

_SIGNS = {"≤": operator.le, "<": operator.lt, "≥": operator.ge}

# Wanted, and aimed at.
FIRST_LOAD_OF_PIPE = 1.0, 0.9
PEERS_OF_FIRST_LOAD = {
    DLT: (4.0, None),
    DLT_TUNED["pyarrow"]: (4.0, None),
    DLT_TUNED["connectorx"]: (1.2, 1.4),
    PGCOPYDB: (0.9, 1.0),
    SLING: (3.0, None),
}
DLT_OF_TICK = 1.0, 1.3
IDLE_TICK_OF_SCAN = 2.0
CHANGED_ROWS = 1_000
TICK_SECONDS = 3.0
MEMORY_GROWTH = 1.1
MEMORY_MB = {"ingest": 200.0, "transform": 360.0, "load": 330.0}
FRESHNESS_SECONDS = 15.0


@dataclass(frozen=True)
class SpeedTarget:
    """A bound such as `≤ 1.5`, and the figure. `aim` would be better still."""

    name: str
    sign: str
    bound: float
    figure: float
    unit: str = ""
    aim: float | None = None

    @property
    def met(self) -> bool:
        """Whether the figure is within the bound."""
        return bool(_SIGNS[self.sign](self.figure, self.bound))

    @property
    def ratio(self) -> bool:
        """Whether the figure compares two sides of the same run, so that it means the same on another machine."""
        return self.unit == "×"


def targets(figures: Figures) -> list[SpeedTarget]:
    """The targets whose figures were measured."""
    return [*_first_load(figures), *_tick(figures), *_memory(figures), *_freshness(figures)]


def _first_load(figures: Figures) -> Iterator[SpeedTarget]:
    for ours in figures.find(Case.FIRST_LOAD, contender=TOTESYS, subject=STAR, quantity="seconds"):
        at = f"first load of {ours.orders:,} orders"
        ratio = figures.ratio(ours, ours._replace(contender=PIPE))
        if ratio is not None:
            bound, aim = FIRST_LOAD_OF_PIPE
            yield SpeedTarget(f"{at}: {TOTESYS} / {PIPE}", "≤", bound, ratio, "×", aim)
        for peer, (least, wish) in PEERS_OF_FIRST_LOAD.items():
            ratio = figures.ratio(ours._replace(contender=peer, subject=RAW), ours)
            if ratio is not None:
                yield SpeedTarget(f"{at}: {peer}, {RAW} / {TOTESYS}", "≥", least, ratio, "×", wish)


def _tick(figures: Figures) -> Iterator[SpeedTarget]:
    ticks = figures.find(Case.TICK, contender=TOTESYS, quantity="seconds")
    for tick in ticks:
        ratio = figures.ratio(tick, tick._replace(contender=SCAN))
        if figures.rows(tick) == 0 and ratio is not None:
            name = f"tick of {tick.orders:,} orders, nothing changed: {TOTESYS} / {SCAN}"
            yield SpeedTarget(name, "≤", IDLE_TICK_OF_SCAN, ratio, "×")
    largest = max((tick.orders for tick in ticks), default=0)
    for tick in (one for one in ticks if one.orders == largest and figures.rows(one)):
        peer = DLT_TUNED["connectorx"]
        ratio = figures.ratio(tick._replace(contender=peer), tick)
        if ratio is not None:
            name = f"tick of {tick.orders:,} orders, {tick.subject}: {peer} / {TOTESYS}"
            yield SpeedTarget(name, "≥", DLT_OF_TICK[0], ratio, "×", DLT_OF_TICK[1])
        if figures.rows(tick) == CHANGED_ROWS:
            name = f"tick of {tick.orders:,} orders, {tick.subject}: from the trigger until visible"
            yield SpeedTarget(name, "<", TICK_SECONDS, figures.spread(tick).median, "s")


def _memory(figures: Figures) -> Iterator[SpeedTarget]:
    peaks = sorted(figures.find(Case.MEMORY, contender=TOTESYS, quantity="peak MB"), key=lambda peak: peak.orders)
    for subject in (stage for stage in MEMORY_MB if any(peak.subject == stage for peak in peaks)):
        least, *_, largest = [peak for peak in peaks if peak.subject == subject] * 2
        peak = figures.spread(largest).median
        if least != largest:
            growth = peak / figures.spread(least).median
            name = f"memory of {subject}: {largest.orders:,} orders / {least.orders:,}"
            yield SpeedTarget(name, "≤", MEMORY_GROWTH, growth, "×")
        yield SpeedTarget(f"memory of {subject}: {largest.orders:,} orders", "≤", MEMORY_MB[subject], peak, "MB")


def _freshness(figures: Figures) -> Iterator[SpeedTarget]:
    for p99 in figures.find(Case.FRESHNESS, contender=TOTESYS, subject="p99", quantity="seconds"):
        yield SpeedTarget("freshness: p99", "<", FRESHNESS_SECONDS, figures.spread(p99).median, "s")

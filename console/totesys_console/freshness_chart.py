"""How old the data in the warehouse is, and was, as a chart with a logarithmic scale. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from math import log

from totesys_console.page_query import WINDOWS, Window
from totesys_console.visible_runs import Visible, within_window

PROMISE = timedelta(minutes=30)

# In the chart's own units: the page stretches it.
WIDTH, HEIGHT = 1440, 300
# As many as fit on a screen. In each of these columns the highest and the lowest point are drawn.
_COLUMNS = 480
_TICKS = {
    "1 s": 1,
    "10 s": 10,
    "1 min": 60,
    "10 min": 600,
    "30 min": 1800,
    "3 h": 10_800,
    "1 d": 86_400,
    "7 d": 604_800,
}
_TIMES: dict[Window, tuple[str, ...]] = {
    "1h": ("1 h ago", "45 min", "30 min", "15 min", "now"),
    "24h": ("24 h ago", "18 h", "12 h", "6 h", "now"),
    "7d": ("7 days ago", "5 days", "3 days", "1 day", "now"),
}


@dataclass(frozen=True)
class Age:
    """The age of the warehouse's data at a time, in seconds."""

    at: datetime
    seconds: float


@dataclass(frozen=True)
class Tick:
    """A label of the scale, and its height in hundredths from the top."""

    text: str
    height: float


@dataclass(frozen=True)
class FreshnessChart:
    """The chart of a window.

    `points` are the coordinates of the greatest ages, `area` those of the band between them and the least ages;
    `promise` is the height of the promise. `times` are the labels below the chart.
    """

    window: Window
    times: tuple[str, ...]
    points: str
    area: str
    promise: float
    ticks: tuple[Tick, ...]
    worst: Age
    over_seconds: float
    since: datetime


def fresh_as_of(visible: Sequence[Visible]) -> datetime | None:
    """The time of the newest snapshot that the warehouse shows completely; None if there is none."""
    return next((one.snapshot for one in reversed(visible) if one.complete), None)


def fitting_window(visible: Sequence[Visible], now: datetime) -> Window:
    """The shortest window that covers the runs, at most a day."""
    return "1h" if visible and now - visible[0].at < WINDOWS["1h"] else "24h"


def ages(visible: Sequence[Visible], now: datetime, window: timedelta) -> list[Age]:
    """The corners of a sawtooth line: age rises with time, and falls when a snapshot is completely visible."""
    corners: list[Age] = []
    shown: datetime | None = None
    latest: datetime | None = None
    for one in within_window(visible, now - window):
        # An empty run shows nothing before the runs that precede it.
        latest = one.at if latest is None else max(latest, one.at)
        if not one.complete:
            continue
        if shown is not None:
            corners.append(_age(latest, shown))
        corners.append(_age(latest, one.snapshot))
        shown = one.snapshot
    if shown is not None:
        corners.append(_age(now, shown))
    return _clipped(corners, now - window)


def _age(at: datetime, snapshot: datetime) -> Age:
    return Age(at, max(0.0, (at - snapshot).total_seconds()))


def _clipped(corners: list[Age], start: datetime) -> list[Age]:
    inside = [corner for corner in corners if corner.at >= start]
    before = [corner for corner in corners if corner.at < start]
    if before and inside:
        entered = (start - before[-1].at).total_seconds()
        inside.insert(0, Age(start, before[-1].seconds + entered))
    return inside


def draw(corners: Sequence[Age], now: datetime, window: Window) -> FreshnessChart | None:
    """The chart of the window; None if there is nothing to draw."""
    if len(corners) < 2:
        return None
    worst = max(corners, key=lambda corner: corner.seconds)
    top = max(PROMISE.total_seconds() * 1.5, worst.seconds * 1.1)
    start = now - WINDOWS[window]

    def x(at: datetime) -> float:
        return (at - start) / WINDOWS[window] * WIDTH

    def height(seconds: float) -> float:
        return 100 - 100 * log(max(seconds, 1)) / log(top)

    def drawn(ages: Iterable[Age]) -> list[str]:
        return [f"{x(one.at):.1f},{height(one.seconds) * HEIGHT / 100:.1f}" for one in ages]

    points = drawn(_peaks(corners))
    return FreshnessChart(
        window=window,
        times=_TIMES[window],
        points=" ".join(points),
        area=" ".join(points + drawn(reversed(_troughs(corners)))),
        promise=round(height(PROMISE.total_seconds()) * HEIGHT / 100, 1),
        ticks=tuple(Tick(text, round(height(seconds), 1)) for text, seconds in _TICKS.items() if seconds < top),
        worst=worst,
        over_seconds=_over(corners),
        since=corners[0].at,
    )


def _peaks(corners: Sequence[Age]) -> list[Age]:
    """The peaks of the line, just before a snapshot became visible, and its ends."""
    higher = [before for before, after in pairwise(corners) if after.seconds <= before.seconds]
    return _thinned([corners[0], *higher, corners[-1]], max)


def _troughs(corners: Sequence[Age]) -> list[Age]:
    """The lowest points of the line, just after a snapshot became visible, from end to end."""
    lower = [after for before, after in pairwise(corners) if after.seconds <= before.seconds] or [corners[0]]
    ends = Age(corners[0].at, lower[0].seconds), Age(corners[-1].at, lower[-1].seconds)
    return _thinned([ends[0], *lower, ends[1]], min)


def _thinned(points: list[Age], choose: Callable[..., Age]) -> list[Age]:
    if len(points) <= _COLUMNS:
        return points
    start, length = points[0].at, (points[-1].at - points[0].at) / _COLUMNS
    columns = groupby(points, lambda one: (one.at - start) // length)
    return [choose(column, key=lambda one: one.seconds) for _, column in columns]


def _over(corners: Sequence[Age]) -> float:
    """For how many seconds the age was over the promise."""
    over = 0.0
    for before, after in pairwise(corners):
        if after.seconds > before.seconds:
            rise = after.seconds - max(before.seconds, PROMISE.total_seconds())
            over += max(0.0, rise)
    return over

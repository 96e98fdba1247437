"""How old the data in the warehouse is, and was during the last day, as a chart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from totesys_console.visible_runs import WINDOW, Visible, within_window

PROMISE = timedelta(minutes=30)

# In the chart's own units: the page stretches it.
WIDTH, HEIGHT = 1440, 300
# As many as fit on a screen. In each of these columns the highest point is drawn.
_COLUMNS = 480


@dataclass(frozen=True)
class Age:
    """The age of the warehouse's data at a time, in seconds."""

    at: datetime
    seconds: float


@dataclass(frozen=True)
class FreshnessChart:
    """The chart of the last day: the coordinates of its line and area, and the height of the promise."""

    points: str
    area: str
    promise: float
    top_seconds: float
    worst: Age
    over_seconds: float
    since: datetime


def fresh_as_of(visible: Sequence[Visible]) -> datetime | None:
    """The time of the newest snapshot that the warehouse shows completely; None if there is none."""
    return next((one.snapshot for one in reversed(visible) if one.complete), None)


def ages(visible: Sequence[Visible], now: datetime) -> list[Age]:
    """The corners of a sawtooth line: age rises with time, and falls when a snapshot is completely visible."""
    corners: list[Age] = []
    shown: datetime | None = None
    latest: datetime | None = None
    for one in within_window(visible, now):
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
    return _clipped(corners, now - WINDOW)


def _age(at: datetime, snapshot: datetime) -> Age:
    return Age(at, max(0.0, (at - snapshot).total_seconds()))


def _clipped(corners: list[Age], start: datetime) -> list[Age]:
    inside = [corner for corner in corners if corner.at >= start]
    before = [corner for corner in corners if corner.at < start]
    if before and inside:
        entered = (start - before[-1].at).total_seconds()
        inside.insert(0, Age(start, before[-1].seconds + entered))
    return inside


def draw(corners: Sequence[Age], now: datetime) -> FreshnessChart | None:
    """The chart of the last day; None if there is nothing to draw."""
    if len(corners) < 2:
        return None
    worst = max(corners, key=lambda corner: corner.seconds)
    top = max(PROMISE.total_seconds() * 1.5, worst.seconds * 1.1)
    start = now - WINDOW

    def x(at: datetime) -> float:
        return (at - start) / WINDOW * WIDTH

    def y(seconds: float) -> float:
        return HEIGHT - seconds / top * HEIGHT

    drawn = [f"{x(one.at):.1f},{y(one.seconds):.1f}" for one in _peaks(corners)]
    first, last = x(corners[0].at), x(corners[-1].at)
    return FreshnessChart(
        points=" ".join(drawn),
        area=f"{first:.1f},{HEIGHT} {' '.join(drawn)} {last:.1f},{HEIGHT}",
        promise=round(y(PROMISE.total_seconds()), 1),
        top_seconds=top,
        worst=worst,
        over_seconds=_over(corners),
        since=corners[0].at,
    )


def _peaks(corners: Sequence[Age]) -> list[Age]:
    """The peaks of the line, just before a snapshot became visible, and its ends."""
    higher = [before for before, after in pairwise(corners) if after.seconds <= before.seconds]
    peaks = [corners[0], *higher, corners[-1]]
    if len(peaks) <= _COLUMNS:
        return peaks
    start, length = peaks[0].at, (peaks[-1].at - peaks[0].at) / _COLUMNS
    columns = groupby(peaks, lambda one: (one.at - start) // length)
    return [max(column, key=lambda one: one.seconds) for _, column in columns]


def _over(corners: Sequence[Age]) -> float:
    """For how many seconds the age was over the promise."""
    over = 0.0
    for before, after in pairwise(corners):
        if after.seconds > before.seconds:
            rise = after.seconds - max(before.seconds, PROMISE.total_seconds())
            over += max(0.0, rise)
    return over

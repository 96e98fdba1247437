"""When each warehouse table last changed, and how many rows it got, as bars over time. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from totesys_console.visible_runs import Visible
from totesys_console.wording import Timestamp, age, timestamp

BARS = 24
# In the units of the bars' picture.
BAR_WIDTH, BARS_HEIGHT = 4, 20


@dataclass(frozen=True)
class Bar:
    """A bar: its position and size in the picture."""

    x: int
    y: int
    height: int


@dataclass(frozen=True)
class TableTrend:
    """A table: the snapshot of its newest rows, their age, the rows written in the window, and a bar for each part."""

    name: str
    changed: Timestamp
    age: str
    rows: str
    bars: tuple[Bar, ...]


def table_trends(visible: Sequence[Visible], now: datetime, window: timedelta) -> tuple[TableTrend, ...]:
    """The tables that were written within the window, by name."""
    start = now - window
    newest: dict[str, datetime] = {}
    rows: dict[str, list[int]] = defaultdict(lambda: [0] * BARS)
    for run in visible:
        if run.at < start:
            continue
        part = min(BARS - 1, int((run.at - start) / window * BARS))
        for name, written in run.written.items():
            newest[name] = run.snapshot
            rows[name][part] += written
    return tuple(
        TableTrend(
            name,
            timestamp(newest[name], now),
            age((now - newest[name]).total_seconds()),
            f"{sum(parts):,}",
            tuple(_bar(number, part, max(parts)) for number, part in enumerate(parts) if part),
        )
        for name, parts in sorted(rows.items())
    )


def _bar(number: int, rows: int, most: int) -> Bar:
    height = max(1, round(rows / most * BARS_HEIGHT))
    return Bar(number * BAR_WIDTH, BARS_HEIGHT - height, height)

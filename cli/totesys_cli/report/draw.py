"""Pictures of answers, as SVG. What is drawn is a length on paper: here alone, amounts become floats."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from totesys.reporting import Months, Ranks
from totesys_cli.printable import one_line
from totesys_cli.report.answer import Answer, Value, heading, shown
from totesys_cli.report.theme import DARK, FONT, LIGHT, Theme

_LABEL_CHARACTERS = 34
_ROW_INCHES = 0.27
_SYSTEM_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Picture:
    """An SVG by day and by night, and what it shows in words. A `wide` one needs the whole width."""

    title: str
    text: str
    light: bytes
    dark: bytes
    wide: bool


def draw(answer: Answer) -> list[Picture]:
    """The pictures of an answer: none if it is not drawn, or has no rows."""
    match answer.question.drawing:
        case Months() as months:
            return list(_months(answer, months))
        case Ranks() as ranks:
            return list(_ranks(answer, ranks))
        case _:
            return []


def _months(answer: Answer, months: Months) -> Iterator[Picture]:
    every = [_month(value) for value in answer.column(months.month)]
    for panel, own in answer.panels(months.panel).items():
        names = [str(value)[:7] for value in own.column(months.month)]
        above = own.column(months.above)
        below = own.column(months.below) if months.below else []

        def bars(theme: Theme, own: Answer = own, above: list[Value] = above, below: list[Value] = below) -> Figure:
            figure, axes = _axes(8.6, 2.1)
            places = [_month(value) for value in own.column(months.month)]
            axes.bar(places, _lengths(above), width=0.74, color=theme.above)
            if months.below:
                axes.bar(places, [-length for length in _lengths(below)], width=0.74, color=theme.below)
                axes.axhline(0, color=theme.faint, linewidth=0.8)
            # The same months in every panel.
            axes.set_xlim(min(every) - 0.7, max(every) + 0.7)
            ticks = _ticks(every)
            axes.set_xticks(ticks, [_month_name(tick) for tick in ticks])
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_formatter(_AbsoluteFormatter(sep=" "))
            axes.grid(visible=False, axis="x")
            return figure

        what = heading(months.above) + (f" (above) and {heading(months.below)} (below)" if months.below else "")
        text = f"{panel}: {what} in {len(names)} months, {names[0]} to {names[-1]}. {_most(names, above)}"
        yield _picture(panel, text, bars, wide=True)


def _ranks(answer: Answer, ranks: Ranks) -> Iterator[Picture]:
    for panel, own in answer.panels(ranks.panel).items():
        if not own.rows:
            continue
        labels = [one_line(str(value), _LABEL_CHARACTERS) for value in own.column(ranks.label)]
        if ranks.key:
            keys = own.column(ranks.key)
            labels = [f"{label} #{key}" for label, key in zip(labels, keys, strict=True)]
        values = own.column(ranks.value)

        def bars(theme: Theme, labels: list[str] = labels, values: list[Value] = values) -> Figure:
            figure, axes = _axes(8.6 if ranks.panel is None else 4.8, 0.5 + _ROW_INCHES * len(labels))
            places = range(len(labels))
            axes.barh(places, _lengths(values), height=0.7, color=theme.above)
            axes.set_yticks(places, labels)
            axes.invert_yaxis()
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
            axes.grid(visible=False, axis="y")
            return figure

        text = f"{panel + ': ' if panel else ''}{heading(ranks.value)} of {len(labels)}. {_most(labels, values)}"
        yield _picture(panel, text, bars, wide=ranks.panel is None)


class _AbsoluteFormatter(EngFormatter):
    """Below the line are lengths too."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return str(super().__call__(abs(x), pos))


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _picture(title: str, text: str, make: Callable[[Theme], Figure], *, wide: bool) -> Picture:
    return Picture(title, text, _svg(LIGHT, make), _svg(DARK, make), wide)


def _svg(theme: Theme, make: Callable[[Theme], Figure]) -> bytes:
    with mpl.rc_context(theme.settings()), warnings.catch_warnings():
        # Names have letters that the font by which they are measured lacks; whoever looks has others.
        warnings.simplefilter("ignore", UserWarning)
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        buffer = io.StringIO()
        make(theme).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().replace(f"'{FONT}'", _SYSTEM_FONTS).encode()


def _lengths(values: Sequence[Value]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | Decimal)]


def _most(labels: Sequence[str], values: Sequence[Value]) -> str:
    lengths = _lengths(values)
    greatest = max(range(len(lengths)), key=lengths.__getitem__)
    return f"Most: {labels[greatest]} with {shown(values[greatest])}. The table below has all numbers."


def _month(value: Value) -> int:
    assert isinstance(value, date)
    return value.year * 12 + value.month - 1


def _ticks(places: Sequence[int]) -> list[int]:
    """At most about nine months, at the quarters or years where they are many."""
    first, last = min(places), max(places)
    step = next((step for step in (1, 3, 6, 12) if (last - first) / step <= 9), 24)
    return [place for place in range(first, last + 1) if place % step == 0] or [first]


def _month_name(place: int) -> str:
    return f"{date(place // 12, place % 12 + 1, 1):%b %Y}"

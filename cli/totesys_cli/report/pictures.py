"""Pictures of answers, as SVG. Amounts become floats only here, as lengths."""

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
from totesys_cli.report.report_answers import Answer, Value, heading, shown
from totesys_cli.terminal import one_line

_LABEL_CHARACTERS = 34
_ROW_INCHES = 0.27
_SYSTEM_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


# Comes with matplotlib. It is wider than the fonts that the page prefers, so there is room for all labels.
FONT = "DejaVu Sans"


@dataclass(frozen=True)
class Theme:
    """Colours as CSS writes them. People with colour blindness can distinguish `above` and `below`."""

    text: str
    faint: str
    line: str
    above: str
    below: str

    def settings(self) -> dict[str, Any]:
        """Settings of matplotlib."""
        return {
            "svg.fonttype": "none",
            "svg.hashsalt": "totesys",
            "font.family": FONT,
            "font.size": 10,
            "text.color": self.text,
            # A dollar sign is not mathematics.
            "text.parse_math": False,
            "axes.labelcolor": self.faint,
            "axes.edgecolor": self.line,
            "axes.axisbelow": True,
            "axes.facecolor": "none",
            "axes.grid": True,
            **dict.fromkeys(("axes.spines.left", "axes.spines.right", "axes.spines.top"), False),
            "figure.facecolor": "none",
            "grid.color": self.line,
            "grid.linewidth": 0.6,
            "savefig.facecolor": "none",
            "xtick.color": self.line,
            "xtick.labelcolor": self.faint,
            "ytick.color": self.line,
            "ytick.labelcolor": self.text,
            "ytick.left": False,
            "legend.frameon": False,
        }


LIGHT = Theme(text="#1d2530", faint="#5b6675", line="#d9dee5", above="#1f6fb2", below="#c2571a")
DARK = Theme(text="#e7ebf0", faint="#9aa6b5", line="#333d4a", above="#62b0ee", below="#f0975a")


@dataclass(frozen=True)
class Picture:
    """An SVG in light and dark, and a description. A `wide` one needs the whole width."""

    title: str
    text: str
    light: bytes
    dark: bytes
    wide: bool


def draw(answer: Answer) -> list[Picture]:
    """The pictures of an answer: none if its question has no drawing, or it has no rows."""
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
            # All panels have the same months.
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
    """Lengths below the line are positive too."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return str(super().__call__(abs(x), pos))


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _picture(title: str, text: str, make: Callable[[Theme], Figure], *, wide: bool) -> Picture:
    return Picture(title, text, _svg(LIGHT, make), _svg(DARK, make), wide)


def _svg(theme: Theme, make: Callable[[Theme], Figure]) -> bytes:
    with mpl.rc_context(theme.settings()), warnings.catch_warnings():
        # The font that measures names lacks some letters; readers' fonts have them.
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
    """At most about nine months; quarters or years if there are many."""
    first, last = min(places), max(places)
    step = next((step for step in (1, 3, 6, 12) if (last - first) / step <= 9), 24)
    return [place for place in range(first, last + 1) if place % step == 0] or [first]


def _month_name(place: int) -> str:
    return f"{date(place // 12, place % 12 + 1, 1):%b %Y}"

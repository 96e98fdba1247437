"""Charts of answers: lengths of bars and texts of labels. The template draws the bars as SVG and the labels as HTML.

Bars stretch with the page. Labels keep the size of its text, so they are readable on a phone. Amounts become floats
only here, as lengths.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from totesys.reporting import Months, Ranks
from totesys_cli.report.report_answers import Answer, Value, heading, shown
from totesys_cli.terminal import one_line

_LABEL_CHARACTERS = 34
# Steps between the lines of a scale, times a power of ten, and how many of them a side has at most.
_STEPS = (1, 2, 5, 10)
_LINES = 4
# Labels below the bars, at most: on a screen, and on a phone.
_WIDE, _NARROW = 9, 4
# Each a multiple of the one before, so that a phone shows some of the labels of a screen.
_LABEL_MONTHS = (1, 3, 6, 12, 24, 120, 240, 1200)
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Bar:
    """A month's bars, in percent of the chart's height: `above` the line, and `below` it."""

    above: float
    below: float


@dataclass(frozen=True)
class Column:
    """A month: its bars (None without data) and its label, which `phone` shows on a phone, too."""

    bar: Bar | None
    label: str
    phone: bool


@dataclass(frozen=True)
class MonthChart:
    """Bars by month. `zero` is the height of the line, in percent from the top; `lines` the labels, from the top."""

    title: str
    text: str
    columns: tuple[Column, ...]
    lines: tuple[str, ...]
    zero: float


@dataclass(frozen=True)
class Rank:
    """A bar of a ranking: `length` in percent of the longest."""

    label: str
    length: float
    value: str


@dataclass(frozen=True)
class RankChart:
    """Bars from the greatest to the least."""

    title: str
    text: str
    ranks: tuple[Rank, ...]


def charts(answer: Answer) -> list[MonthChart | RankChart]:
    """The charts of an answer, one for each value of its panel; none if it has no chart or no rows."""
    match answer.question.drawing:
        case Months() as months if answer.rows:
            return [_months(answer, panel, own, months) for panel, own in answer.panels(months.panel).items()]
        case Ranks() as ranks if answer.rows:
            return [_ranks(panel, own, ranks) for panel, own in answer.panels(ranks.panel).items()]
        case _:
            return []


def _months(answer: Answer, panel: str, own: Answer, months: Months) -> MonthChart:
    # The same months in every panel.
    every = [_number(value) for value in answer.column(months.month)]
    first, last = min(every), max(every)
    ups = _lengths(own.column(months.above))
    downs = _lengths(own.column(months.below)) if months.below else [0.0] * len(ups)
    # A negative amount is drawn on the other side of the line.
    above = [max(up, 0.0) + max(-down, 0.0) for up, down in zip(ups, downs, strict=True)]
    below = [max(down, 0.0) + max(-up, 0.0) for up, down in zip(ups, downs, strict=True)]
    step = _step(max(*above, *below, 0.0))
    up, down = _reach(above, step), _reach(below, step)
    scale = 100 / (max(up + down, 1) * step)
    bars = {
        _number(month): Bar(high * scale, low * scale)
        for month, high, low in zip(own.column(months.month), above, below, strict=True)
    }
    wide, narrow = (_labelled(first, last, most) for most in (_WIDE, _NARROW))
    columns = tuple(
        Column(bars.get(month), _name(month) if month in wide | narrow else "", month in narrow)
        for month in range(first, last + 1)
    )
    lines = tuple(short(abs(line) * step) for line in range(up, -down - 1, -1))
    return MonthChart(panel, _text_of_months(panel, own, months, ups), columns, lines, up * step * scale)


def _text_of_months(panel: str, own: Answer, months: Months, lengths: Sequence[float]) -> str:
    what = heading(months.above) + (f" (above) and {heading(months.below)} (below)" if months.below else "")
    names = [str(value)[:7] for value in own.column(months.month)]
    most = _most(names, lengths, own.column(months.above))
    return f"{panel}: {what} in {len(names)} months, {names[0]} to {names[-1]}. {most}"


def _ranks(panel: str, own: Answer, ranks: Ranks) -> RankChart:
    labels = [one_line(str(value), _LABEL_CHARACTERS) for value in own.column(ranks.label)]
    if ranks.key:
        labels = [f"{label} #{key}" for label, key in zip(labels, own.column(ranks.key), strict=True)]
    values = own.column(ranks.value)
    lengths = _lengths(values)
    longest = max(*lengths, 0.0) or 1.0
    bars = tuple(
        Rank(label, max(length, 0.0) / longest * 100, short(length))
        for label, length in zip(labels, lengths, strict=True)
    )
    begin = f"{panel}: " if panel else ""
    return RankChart(panel, f"{begin}{heading(ranks.value)} of {len(labels)}. {_most(labels, lengths, values)}", bars)


def _most(labels: Sequence[str], lengths: Sequence[float], values: Sequence[Value]) -> str:
    greatest = max(range(len(lengths)), key=lengths.__getitem__)
    return f"Most: {labels[greatest]} with {shown(values[greatest])}. The table below has all numbers."


def short(number: float) -> str:
    """A number in few characters: `1.5 M`."""
    for size, unit in _UNITS:
        # What rounds to 1,000 of a unit is one of the next.
        if abs(number) >= size * 0.9995:
            return f"{_three_digits(number / size)} {unit}"
    return _three_digits(number)


def _three_digits(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"


def _step(greatest: float) -> float:
    """The distance of the lines: 1, 2 or 5 times a power of ten, so that a side has at most _LINES of them."""
    if greatest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(greatest / _LINES))
    return next(step * power for step in _STEPS if step * power * _LINES >= greatest)


def _reach(lengths: Sequence[float], step: float) -> int:
    """How many lines a side has: none if nothing is on it."""
    return math.ceil(max(*lengths, 0.0) / step)


def _labelled(first: int, last: int, most: int) -> set[int]:
    """The months with a label, at most `most`: all, or those that begin a quarter, a half, a year, a decade."""
    every = range(first, last + 1)
    for months in _LABEL_MONTHS:
        if (labelled := {month for month in every if month % months == 0}) and len(labelled) <= most:
            return labelled
    return {first}


def _lengths(values: Sequence[Value]) -> list[float]:
    return [float(value) if isinstance(value, int | Decimal) else 0.0 for value in values]


def _number(value: Value) -> int:
    assert isinstance(value, date)
    return value.year * 12 + value.month - 1


def _name(month: int) -> str:
    return f"{date(month // 12, month % 12 + 1, 1):%b %Y}"

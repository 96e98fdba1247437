"""Medians, spreads and ratios of what was measured. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from bench.measurement import Case, Measurement


class Series(NamedTuple):
    """What was measured again in every round."""

    case: Case
    subject: str
    orders: int
    contender: str
    quantity: str


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and the least and the greatest."""

    median: float
    least: float
    greatest: float
    rounds: int


class Figures:
    """The measurements by series. The series stand in the order in which they were measured first."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._rounds: dict[Series, dict[int, float]] = defaultdict(dict)
        self._rows: dict[Series, int | None] = {}
        for m in measurements:
            series = Series(m.case, m.subject, m.orders, m.contender, m.quantity)
            self._rounds[series][m.round] = m.value
            self._rows[series] = m.rows

    def find(self, case: Case, **wanted: object) -> list[Series]:
        """The series of a case whose named fields are as wanted."""
        return [
            series
            for series in self._rounds
            if series.case == case and all(getattr(series, name) == value for name, value in wanted.items())
        ]

    def spread(self, series: Series) -> Spread:
        """Of all rounds. Raises KeyError for a series that was not measured."""
        if series not in self._rounds:
            raise KeyError(series)
        values = self._rounds[series].values()
        return Spread(median(values), min(values), max(values), len(values))

    def rows(self, series: Series) -> int | None:
        """What it was measured over. Raises KeyError for a series that was not measured."""
        return self._rows[series]

    def ratio(self, series: Series, to: Series) -> float | None:
        """The median of the rounds' own ratios; None if no round measured both.

        What slows a machine down for a while slows both sides of one round, and not the other rounds.
        """
        ours, theirs = self._rounds.get(series, {}), self._rounds.get(to, {})
        ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
        return median(ratios) if ratios else None

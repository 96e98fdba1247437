"""Medians, spreads and ratios of the measurements. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from bench.measurement import Case, Measurement


class Series(NamedTuple):
    """A figure that every round measures again."""

    case: Case
    subject: str
    orders: int
    contender: str
    quantity: str


class Spread(NamedTuple):
    """The median of the rounds, and the least and the greatest."""

    median: float
    least: float
    greatest: float
    rounds: int


class Figures:
    """The measurements by series, in the order of their first measurement."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._rounds: dict[Series, dict[int, float]] = defaultdict(dict)
        self._rows: dict[Series, int | None] = {}
        for m in measurements:
            series = Series(m.case, m.subject, m.orders, m.contender, m.quantity)
            self._rounds[series][m.round] = m.value
            self._rows[series] = m.rows

    def find(self, case: Case, **wanted: object) -> list[Series]:
        """The series of a case with these values in the named fields."""
        return [
            series
            for series in self._rounds
            if series.case == case and all(getattr(series, name) == value for name, value in wanted.items())
        ]

    def spread(self, series: Series) -> Spread:
        """The spread of all rounds. Raises KeyError for a series that was not measured."""
        if series not in self._rounds:
            raise KeyError(series)
        values = self._rounds[series].values()
        return Spread(median(values), min(values), max(values), len(values))

    def rows(self, series: Series) -> int | None:
        """The rows that it was measured over. Raises KeyError for a series that was not measured."""
        return self._rows[series]

    def ratio(self, series: Series, to: Series) -> float | None:
        """The median of the rounds' own ratios; None if no round measured both.

        A machine that is slow for a while is slow for both sides of one round, and not for the other rounds.
        """
        ours, theirs = self._rounds.get(series, {}), self._rounds.get(to, {})
        ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
        return median(ratios) if ratios else None

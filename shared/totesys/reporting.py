"""The declaration of a report: questions in SQL over the warehouse, and how their answers are drawn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Months:
    """Bars by month, a chart for each value of `panel`. The values of `below` are drawn downwards."""

    month: str
    above: str
    panel: str
    below: str | None = None


@dataclass(frozen=True)
class Ranks:
    """Bars from the greatest to the least, a chart for each value of `panel` if it is given.

    If several can have the same `label`, `key` distinguishes them.
    """

    label: str
    value: str
    panel: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Cards:
    """A card for each row: the first column is the title, the others are its lines."""


Drawing = Months | Ranks | Cards


@dataclass(frozen=True)
class Question:
    """SQL over the stars. Column names become headings; `$1` is the day of the report.

    A question that has `$2`, the first day of a period, and `$3`, the day after its last, is asked for each period.
    `note` says what a reader must know. Never add amounts of different currencies.
    """

    name: str
    title: str
    note: str
    sql: str
    drawing: Drawing | None = None

    @property
    def of_a_period(self) -> bool:
        """Whether its answer depends on the period."""
        return "$2" in self.sql


@dataclass(frozen=True)
class Chapter:
    """Questions about one part of the business."""

    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Report:
    """The chapters of a report, in order.

    Readers choose a period, one of the years that the SQL `years` returns, and a value of the column `filter`.
    """

    title: str
    chapters: tuple[Chapter, ...]
    years: str = ""
    filter: str = ""

"""What a company's report asks its warehouse: questions in SQL, and how their answers are drawn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Months:
    """Bars by month, a picture for each value of `panel`; what `below` says is drawn downwards."""

    month: str
    above: str
    panel: str
    below: str | None = None


@dataclass(frozen=True)
class Ranks:
    """Bars from the greatest to the least, a picture for each value of `panel`, if there is one.

    Where two may have the same `label`, `key` tells them apart.
    """

    label: str
    value: str
    panel: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Cards:
    """A card for each row: the first column is its title, the others are its lines."""


Drawing = Months | Ranks | Cards


@dataclass(frozen=True)
class Question:
    """SQL over the stars. A column is headed by its name; `$1`, where it is, is the day of the report.

    `note` says what a reader must know. Amounts are never added across currencies.
    """

    name: str
    title: str
    note: str
    sql: str
    drawing: Drawing | None = None


@dataclass(frozen=True)
class Chapter:
    """Questions about one part of the business."""

    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Report:
    """All that a company's report shows, in its order."""

    title: str
    chapters: tuple[Chapter, ...]

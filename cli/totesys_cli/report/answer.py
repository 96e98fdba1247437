"""What the warehouse answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from totesys.reporting import Question

Value = str | int | Decimal | date | datetime | None


@dataclass(frozen=True)
class Answer:
    """A question with its rows. `sql` is what was asked, ready to be asked again."""

    question: Question
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def column(self, name: str) -> list[Value]:
        """The values of one column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def panels(self, column: str | None) -> "dict[str, Answer]":
        """The rows by the value of a column, in their order; all together without one."""
        if column is None:
            return {"": self}
        values = self.column(column)
        return {
            str(value): Answer(
                self.question,
                self.sql,
                self.columns,
                tuple(row for row, own in zip(self.rows, values, strict=True) if own == value),
            )
            for value in sorted(set(values), key=str)
        }


@dataclass(frozen=True)
class Period:
    """The days from `first` to the one before `end`."""

    title: str
    first: date
    end: date


ALL_TIME = Period("All time", date.min, date.max)


@dataclass(frozen=True)
class AnsweredChapter:
    """A chapter with its answers."""

    title: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Content:
    """All that a page shows: of the warehouse after `run`, whose snapshot is of `snapshot_time`, on `day`.

    `complete` is False while a large extraction is still coming in: then part of the warehouse is newer.
    """

    title: str
    run: int
    snapshot_time: datetime
    complete: bool
    made_at: datetime
    day: date
    chapters: tuple[AnsweredChapter, ...]
    filter: str = ""
    by_period: tuple[tuple[Period, Mapping[str, Answer]], ...] = ()
    """For each shorter period, the answers that depend on it, by the name of the question."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of the column by which readers filter, in order."""
        every = [answer for chapter in self.chapters for answer in chapter.answers if self.filter in answer.columns]
        return tuple(sorted({str(value) for answer in every for value in answer.column(self.filter)}))

    def variants(self, answer: Answer) -> list[Answer]:
        """An answer for all time, and then for each shorter period if it depends on that."""
        name = answer.question.name
        return [answer, *(answers[name] for _, answers in self.by_period if name in answers)]


def shown(value: Value, column: str = "") -> str:
    """A value as people read it; money keeps its two digits, and a number that is a name is not grouped."""
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:,.2f}"
        case int() if not column.endswith("_id"):
            return f"{value:,}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _:
            return str(value)


def heading(column: str) -> str:
    """A column's name as people read it."""
    return column.replace("_", " ")

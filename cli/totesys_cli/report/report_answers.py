"""The answers of the warehouse to a report's questions, all from one snapshot."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module

import asyncpg

from totesys.connection import Connection, connect, redacted
from totesys.database_errors import plain
from totesys.reporting import Chapter, Question, Report
from totesys.schema import ETL, load_model
from totesys.sql import literal
from totesys_cli.command_errors import UsageError
from totesys_cli.report.quality import quality
from totesys_cli.terminal import timestamp

WHAT = "The warehouse"
_NEWEST = f"""
SELECT run, snapshot_time, complete FROM {ETL}.run ORDER BY snapshot_time DESC, run DESC LIMIT 1"""
_PARAMETER = re.compile(r"\$[123]")
# How many years readers can choose from.
YEARS = 5

Value = str | int | Decimal | date | datetime | None


@dataclass(frozen=True)
class Answer:
    """A question with its rows. `sql` is the query, with its parameter filled in."""

    question: Question
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def column(self, name: str) -> list[Value]:
        """The values of one column."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def panels(self, column: str | None) -> "dict[str, Answer]":
        """The rows by the value of a column, in order; without a column, all together."""
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
class ReportContent:
    """The content of a page: the warehouse after `run`, whose snapshot was at `snapshot_time`, for the date `day`.

    `complete` is False while a large extraction is being loaded: part of the warehouse is newer then. `filter` names
    the column by which readers filter. `by_period` has, for each shorter period, the answers that depend on it, by the
    name of the question.
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

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of the column by which readers filter, in order."""
        every = [answer for chapter in self.chapters for answer in chapter.answers if self.filter in answer.columns]
        return tuple(sorted({str(value) for answer in every for value in answer.column(self.filter)}))

    def variants(self, answer: Answer) -> list[Answer]:
        """An answer for all time, and then for each shorter period if it depends on that."""
        name = answer.question.name
        return [answer, *(answers[name] for _, answers in self.by_period if name in answers)]


def find_report(model: str) -> Report | None:
    """The report that the model declares, if it declares one."""
    module = f"{model}.report"
    try:
        report: Report = import_module(module).REPORT
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return report


async def answer_report(dsn: str, module: str, day: date | None) -> ReportContent:
    """The answers, all from one snapshot; `day` defaults to the date of the newest run.

    `module` is the module of the model. Raises UsageError if it declares no report, or the warehouse has no run or not
    the model's stars.
    """
    model, report = load_model(module), find_report(module)
    if report is None:
        raise UsageError(
            f"Model {module} has no module {module}.report, so there is nothing to report. Declare a REPORT there, as "
            "totesys.model.report does."
        )
    where = f"{WHAT} at {redacted(dsn)}"
    async with connect(WHAT, dsn) as connection:
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                newest = await connection.fetchrow(_NEWEST)
                if newest is None:
                    raise UsageError(f"{where} has no run, so there is nothing to report yet. Run the pipeline first.")
                on = day or newest["snapshot_time"].astimezone(UTC).date()
                chapters = [await _chapter(connection, one, on) for one in (*report.chapters, quality(model))]
                by_period = [
                    (year, await _of_period(connection, report, on, year)) for year in await _years(connection, report)
                ]
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
            raise UsageError(
                f"{where} was not loaded for {module}: {plain(error)}. Name another database, or update this "
                "one with `totesys run`."
            ) from error
    return ReportContent(
        title=report.title,
        run=newest["run"],
        snapshot_time=newest["snapshot_time"],
        complete=newest["complete"],
        made_at=datetime.now(UTC),
        day=on,
        chapters=tuple(chapters),
        filter=report.filter,
        by_period=tuple(by_period),
    )


async def _years(connection: Connection, report: Report) -> list[Period]:
    """The newest years of the report, newest first."""
    years = [row[0] for row in await connection.fetch(report.years)] if report.years else []
    return [Period(str(year), date(year, 1, 1), date(year + 1, 1, 1)) for year in reversed(years[-YEARS:])]


async def _of_period(connection: Connection, report: Report, day: date, period: Period) -> dict[str, Answer]:
    questions = [question for chapter in report.chapters for question in chapter.questions if question.of_a_period]
    return {question.name: await _answer(connection, question, day, period) for question in questions}


async def _chapter(connection: Connection, chapter: Chapter, day: date) -> AnsweredChapter:
    answers = [await _answer(connection, question, day, ALL_TIME) for question in chapter.questions]
    return AnsweredChapter(chapter.title, tuple(answers))


async def _answer(connection: Connection, question: Question, day: date, period: Period) -> Answer:
    days = {"$1": day, "$2": period.first, "$3": period.end}
    used = sorted(set(_PARAMETER.findall(question.sql)))
    statement = await connection.prepare(
        _PARAMETER.sub(lambda found: f"${used.index(found[0]) + 1}::date", question.sql)
    )
    rows = await statement.fetch(*(days[name] for name in used))
    columns = tuple(attribute.name for attribute in statement.get_attributes())
    # With the dates filled in, readers can run the query themselves.
    sql = _PARAMETER.sub(lambda found: f"DATE {literal(_written(days[found[0]]))}", question.sql.strip())
    return Answer(question, f"{sql};", columns, tuple(tuple(row) for row in rows))


def _written(day: date) -> str:
    return {date.min: "-infinity", date.max: "infinity"}.get(day) or day.isoformat()


def shown(value: Value, column: str = "") -> str:
    """A value for people; amounts keep two decimals, and numeric ids are not grouped."""
    match value:
        case None:
            return ""
        case Decimal():
            return f"{value:,.2f}"
        case int() if not column.endswith("_id"):
            return f"{value:,}"
        case datetime():
            return timestamp(value)
        case _:
            return str(value)


def heading(column: str) -> str:
    """A column's name for people."""
    return column.replace("_", " ")

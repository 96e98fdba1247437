"""Asks the warehouse all questions of a report, of one moment."""

import re
from datetime import UTC, date, datetime
from importlib import import_module

import asyncpg

from totesys.connection import Connection, connect, redacted
from totesys.database_errors import plain
from totesys.reporting import Chapter, Question, Report
from totesys.schema import ETL, load_model
from totesys.sql import literal
from totesys_cli.errors import BadInput
from totesys_cli.report.answer import ALL_TIME, Answer, AnsweredChapter, Content, Period
from totesys_cli.report.quality import quality

WHAT = "The warehouse"
_NEWEST = f"""
SELECT run, snapshot_time, complete FROM {ETL}.run ORDER BY snapshot_time DESC, run DESC LIMIT 1"""
_PARAMETER = re.compile(r"\$[123]")
# How many years readers can choose from.
YEARS = 5


def find_report(model: str) -> Report | None:
    """What the model's company reports, if its model declares that."""
    module = f"{model}.report"
    try:
        report: Report = import_module(module).REPORT
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return report


def report_of(model: str) -> Report:
    """What the model's company reports. Raises BadInput if that is nothing."""
    report = find_report(model)
    if report is None:
        raise BadInput(
            f"Model {model} has no module {model}.report, so there is nothing to report. Declare a REPORT there, as "
            "totesys.model.report does."
        )
    return report


async def ask(dsn: str, model: str, day: date | None) -> Content:
    """The answers, all of one snapshot; `day` is that of the newest run's if not given.

    Raises BadInput where the warehouse has no run, or not the model's stars.
    """
    report, declared = report_of(model), load_model(model)
    chapters = (*report.chapters, quality(declared))
    async with connect(WHAT, dsn) as connection:
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                newest = await connection.fetchrow(_NEWEST)
                if newest is None:
                    raise BadInput(f"{WHAT} at {redacted(dsn)} has had no run: there is nothing to report yet.")
                on = day or newest["snapshot_time"].astimezone(UTC).date()
                answered = [await _chapter(connection, chapter, on) for chapter in chapters]
                by_period = [
                    (one, await _of_period(connection, report, on, one)) for one in await _years(connection, report)
                ]
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
            raise BadInput(
                f"{WHAT} at {redacted(dsn)} is not one that load has made for {model}: {plain(error)}. "
                "Name another, or bring it up to date with `totesys run`."
            ) from error
    return Content(
        title=report.title,
        run=newest["run"],
        snapshot_time=newest["snapshot_time"],
        complete=newest["complete"],
        made_at=datetime.now(UTC),
        day=on,
        chapters=tuple(answered),
        filter=report.filter,
        by_period=tuple(by_period),
    )


async def _years(connection: Connection, report: Report) -> list[Period]:
    """The newest years of the report, the newest first."""
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
    # With the days in their places, readers can run the query themselves.
    sql = _PARAMETER.sub(lambda found: f"DATE {literal(_written(days[found[0]]))}", question.sql.strip())
    return Answer(question, f"{sql};", columns, tuple(tuple(row) for row in rows))


def _written(day: date) -> str:
    return {date.min: "-infinity", date.max: "infinity"}.get(day) or day.isoformat()

"""Asks the warehouse all questions of a report, of one moment."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from importlib import import_module

import asyncpg

from totesys.connection import Connection, connect, redacted
from totesys.database_errors import plain
from totesys.reporting import Chapter, Question, Report
from totesys.schema import ETL, load_model
from totesys.sql import literal
from totesys_cli.errors import BadInput
from totesys_cli.report.answer import Answer, AnsweredChapter, Content
from totesys_cli.report.quality import quality

WHAT = "The warehouse"
_NEWEST = f"""
SELECT run, snapshot_time, complete FROM {ETL}.run ORDER BY snapshot_time DESC, run DESC LIMIT 1"""
_PARAMETER = "$1"


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
    )


async def _chapter(connection: Connection, chapter: Chapter, day: date) -> AnsweredChapter:
    return AnsweredChapter(chapter.title, tuple(await _answers(connection, chapter.questions, day)))


async def _answers(connection: Connection, questions: Iterable[Question], day: date) -> list[Answer]:
    answers = []
    for question in questions:
        statement = await connection.prepare(question.sql.replace(_PARAMETER, f"{_PARAMETER}::date"))
        rows = await (statement.fetch(day) if statement.get_parameters() else statement.fetch())
        columns = tuple(attribute.name for attribute in statement.get_attributes())
        # For whoever asks it again, the day is in its place.
        sql = question.sql.strip().replace(_PARAMETER, f"DATE {literal(day.isoformat())}")
        answers.append(Answer(question, f"{sql};", columns, tuple(tuple(row) for row in rows)))
    return answers

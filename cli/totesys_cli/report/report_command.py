"""`totesys report`."""

import json
from datetime import date
from pathlib import Path

from totesys_cli.command_errors import UsageError
from totesys_cli.report.report_answers import Answer, ReportContent, answer_report
from totesys_cli.terminal import Output, to_plain, write_document


async def run_report(output: Output, dsn: str, model: str, day: date | None, file: Path | None) -> None:
    """Write the page, or with JSON its answers, to `file`, or print it. Raises UsageError if that is not possible."""
    content = await answer_report(dsn, model, day)
    text = to_json(content) if output.json else _page(content)
    write_document(f"{text}\n", file)
    if file:
        print(f"{file}: {len(text.encode()) / 1000:,.0f} kB, as of run {content.run}.")


def to_json(content: ReportContent) -> str:
    """The answers as a JSON object; amounts are strings, so that no digit is lost."""
    document = {
        "run": content.run,
        "snapshot_time": content.snapshot_time,
        "complete": content.complete,
        "day": content.day,
        "chapters": [
            {"title": chapter.title, "answers": [_answer(answer) for answer in chapter.answers]}
            for chapter in content.chapters
        ],
        "periods": [
            {
                "title": period.title,
                "first": period.first,
                "end": period.end,
                "answers": [_answer(answer) for answer in answers.values()],
            }
            for period, answers in content.by_period
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, default=to_plain)


def _answer(answer: Answer) -> dict[str, object]:
    question = answer.question
    return {
        "name": question.name,
        "title": question.title,
        "sql": answer.sql,
        "columns": answer.columns,
        "rows": answer.rows,
    }


def _page(content: ReportContent) -> str:
    try:
        from totesys_cli.report.report_page import to_html
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The page needs {error.name}, which is not installed. Install `totesys-cli[report]`, or pass --json."
        ) from error
    return to_html(content)

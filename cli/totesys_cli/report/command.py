"""`totesys report`."""

import json as json_module
from datetime import date
from pathlib import Path

from rich.console import Console

from totesys_cli.errors import BadInput
from totesys_cli.report.answer import Answer, Content
from totesys_cli.report.ask import ask


async def run_report(
    console: Console, dsn: str, model: str, day: date | None, output: Path | None, *, json: bool
) -> None:
    """Write the page, or print it or its answers. Raises BadInput where that cannot be."""
    content = await ask(dsn, model, day)
    text = to_json(content) if json else _page(content)
    if output is None:
        print(text)
        return
    _write(output, text)
    size = len(text.encode()) / 1000
    console.print(f"{output}: {size:,.0f} kB, as of run {content.run}.", soft_wrap=True, markup=False, highlight=False)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"The report {output} can't be written: {error.strerror}. Name another file.") from error


def to_json(content: Content) -> str:
    """The answers as a JSON object; amounts are texts, so that no digit is lost."""
    document = {
        "run": content.run,
        "snapshot_time": content.snapshot_time.isoformat(),
        "complete": content.complete,
        "day": content.day.isoformat(),
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
    return json_module.dumps(document, indent=2, ensure_ascii=False, default=str)


def _answer(answer: Answer) -> dict[str, object]:
    question = answer.question
    return {
        "name": question.name,
        "title": question.title,
        "sql": answer.sql,
        "columns": answer.columns,
        "rows": answer.rows,
    }


def _page(content: Content) -> str:
    try:
        from totesys_cli.report.page import to_html
    except ModuleNotFoundError as error:
        raise BadInput(
            f"The page is drawn with {error.name}, which is not installed: install `totesys-cli[report]`, or ask for "
            "--json."
        ) from error
    return to_html(content)

"""The page: one HTML file that loads nothing else, and in which foreign text is only text."""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from totesys.reporting import Cards
from totesys_cli.report.charts import charts
from totesys_cli.report.filters import Choices, rules
from totesys_cli.report.report_answers import ALL_TIME, ReportContent, Value, heading, shown
from totesys_cli.terminal import printable


def to_html(content: ReportContent) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("totesys_cli.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": lambda value, column="": printable(shown(value, column)),
        "heading": heading,
        "is_number": _is_number,
        "slug": lambda title: title.lower().replace(" ", "-"),
    }
    css = files("totesys_cli.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    choices = Choices(content.filter, content.choices)
    periods = [ALL_TIME.title, *(period.title for period, _ in content.by_period)]
    style = css + rules(len(periods), len(content.choices))
    return environment.get_template("report.html").render(
        content=content,
        # The page names the hash of our style sheet: no other style applies.
        style=Markup(style),  # noqa: S704 - our own file, no text of the data
        style_hash=_hash(style),
        charts=charts,
        periods=periods,
        choice=choices.mark,
        choice_of=choices.mark_of,
        is_cards=lambda answer: isinstance(answer.question.drawing, Cards),
        zip=zip,
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _is_number(value: Value) -> bool:
    return not isinstance(value, str) and not hasattr(value, "year") and value is not None

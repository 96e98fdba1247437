"""The page: one file of HTML that asks for nothing else, and in which whatever text there is does nothing."""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from totesys.reporting import Cards
from totesys_cli.printable import printable
from totesys_cli.report.answer import ALL_TIME, Answer, Content, Value, heading, shown
from totesys_cli.report.charts import charts
from totesys_cli.report.filters import Choices, rules


def to_html(content: Content) -> str:
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
        # Ours, and named by its hash: nothing else may style the page.
        style=Markup(style),  # noqa: S704 - our own file, no text of the data
        style_hash=_hash(style),
        charts=charts,
        periods=periods,
        choice=choices.mark,
        choice_of=choices.mark_of,
        is_cards=_is_cards,
        zip=zip,
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _is_number(value: Value) -> bool:
    return not isinstance(value, str) and not hasattr(value, "year") and value is not None


def _is_cards(answer: Answer) -> bool:
    return isinstance(answer.question.drawing, Cards)

"""The page: one file of HTML that asks for nothing else, and in which whatever text there is does nothing."""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from totesys.reporting import Cards
from totesys_cli.printable import printable
from totesys_cli.report.answer import Answer, Content, Value, heading, shown
from totesys_cli.report.draw import draw


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
        "data": _data,
        "slug": lambda title: title.lower().replace(" ", "-"),
    }
    style = files("totesys_cli.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        content=content,
        # Ours, and named by its hash: nothing else may style the page.
        style=Markup(style),  # noqa: S704 - our own file, no text of the data
        style_hash=_hash(style),
        pictures=draw,
        is_cards=_is_cards,
        zip=zip,
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _is_number(value: Value) -> bool:
    return not isinstance(value, str) and not hasattr(value, "year") and value is not None


def _is_cards(answer: Answer) -> bool:
    return isinstance(answer.question.drawing, Cards)

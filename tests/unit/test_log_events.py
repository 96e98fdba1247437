"""Log events are an API: every logged line is a declared event with its fields."""

import ast
import re
from collections.abc import Iterator
from inspect import getsource
from pathlib import Path

import pytest

from totesys import log_events
from totesys.log_events import LogEvent

ROOT = Path(__file__).parents[2]
LEVELS = {"info", "warning", "error", "critical", "exception", "log"}
# Fields that structlog and the metric format take for themselves, and those that every line may have.
EVERYWHERE = {"exc_info", "error", "kind", "next"}


def documented() -> dict[LogEvent, str]:
    """The docstring below each member."""
    (declared,) = (node for node in ast.parse(getsource(log_events)).body if isinstance(node, ast.ClassDef))
    pairs = zip(declared.body, declared.body[1:], strict=False)
    return {
        LogEvent[named.targets[0].id]: text.value.value
        for named, text in pairs
        if isinstance(named, ast.Assign)
        and isinstance(named.targets[0], ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger in what ships, with where it is."""
    for folder in ("shared", "console", "services"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _is_logger(node.func):
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def _is_logger(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        # A level that was chosen before.
        return called.id in {"say", "level"}
    if not isinstance(called, ast.Attribute) or called.attr not in LEVELS:
        return False
    logger = ast.unparse(called.value)
    return logger in {"log", "_log"} or logger.startswith("logger(")


CALLS = dict(calls())


def test_every_event_is_documented_and_named_in_snake_case() -> None:
    assert documented().keys() == set(LogEvent)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", event) and event == event.name.lower() for event in LogEvent)


@pytest.mark.parametrize("place", CALLS)
def test_a_line_is_a_declared_event_with_documented_fields(place: str) -> None:
    call = CALLS[place]
    # `log.log` takes the level first.
    event = call.args[1 if ast.unparse(call.func) == "log.log" else 0]
    events = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
    fields = {keyword.arg for keyword in call.keywords if keyword.arg} - EVERYWHERE
    for name in map(ast.unparse, events):
        assert name.startswith("LogEvent."), f"{place} logs {name}"
        text = documented()[LogEvent[name.removeprefix("LogEvent.")]]
        assert {field for field in fields if f"`{field}`" not in text} == set()


def test_every_event_is_logged_somewhere() -> None:
    sources = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("shared", "console", "services")
        for file in (ROOT / folder).rglob("*.py")
        if file.name != "log_events.py"
    )
    assert set(re.findall(r"LogEvent\.([A-Z_]+)", sources)) == set(LogEvent.__members__)

"""Error messages and tracebacks for logs and dead letters, without anything that may be a row's value."""

import re
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

from totesys.errors import TotesysError, UnexpectedDatabaseError

# Libraries that handle rows and quote them in their messages.
_QUOTE_VALUES = {"asyncpg", "polars", "pyarrow", "pydantic_core"}
# The parts of their messages that are never a value.
_SAFE = re.compile(
    r"(?:In CSV column #\d+: |CSV parse error: |Row #\d+: |CSV conversion error to [^:]+|Expected \d+ columns)+"
    r"|conversion from `[^`]+` to `[^`]+` failed in column '[^']+'|unable to find column \"[^\"]+\"|Empty CSV file"
)
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def safe_message(error: BaseException) -> str:
    """The error's message, without what may be a row's value."""
    kind = type(error)
    library = kind.__module__.partition(".")[0]
    state = getattr(error, "sqlstate", None)
    if library not in _QUOTE_VALUES or (library == "asyncpg" and not state and kind.__name__ != "DataError"):
        return str(error)
    if state:
        return f"SQLSTATE {state}; the message is not shown"
    safe = _SAFE.match(str(error))
    return safe[0].rstrip(": ") if safe else f"{kind.__name__}; the message is not shown, as it may hold a row's values"


def error_fields(error: BaseException) -> dict[str, Any]:
    """The fields of a log line about an error: `error`, `kind` and, for an unexpected error, `exc_info`."""
    expected = isinstance(error, TotesysError) and not isinstance(error, UnexpectedDatabaseError)
    trace = error if isinstance(error, Exception) and not expected else None
    return {"error": safe_message(error), "kind": type(error).__name__, "exc_info": trace}


def write_traceback(out: TextIO, exc_info: _ExcInfo) -> None:
    """Write an error's traceback with those of its causes and parts, as Python does, with safe messages."""
    out.write("".join(_lines(exc_info[1], set())).rstrip("\n"))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "\nThe direct cause of:\n\n" if error.__cause__ else "\nWhile handling it:\n\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    message = safe_message(error)
    yield f"{type(error).__qualname__}: {message}\n" if message else f"{type(error).__qualname__}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, part in enumerate(error.exceptions, 1):
            yield f"\nPart {number} of it:\n\n"
            yield from _lines(part, seen)

"""What logs and dead letters say of an error that is not ours: nothing that may be a row's value."""

import re
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

# Libraries that handle rows, and quote them.
_QUOTE_VALUES = {"asyncpg", "polars", "pyarrow", "pydantic_core"}
# What of their words never is a value: where it is, and what it is not.
_SAFE = re.compile(
    r"(?:In CSV column #\d+: |CSV parse error: |Row #\d+: |CSV conversion error to [^:]+|Expected \d+ columns)+"
    r"|conversion from `[^`]+` to `[^`]+` failed in column '[^']+'|unable to find column \"[^\"]+\"|Empty CSV file"
)
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def safe_message(error: BaseException) -> str:
    """The error's words, as far as they hold no value."""
    kind = type(error)
    library = kind.__module__.partition(".")[0]
    state = getattr(error, "sqlstate", None)
    if library not in _QUOTE_VALUES or (library == "asyncpg" and not state and kind.__name__ != "DataError"):
        return str(error)
    if state:
        return f"SQLSTATE {state}, not quoted"
    safe = _SAFE.match(str(error))
    return safe[0].rstrip(": ") if safe else f"{kind.__name__}, not quoted, since it may hold a row's values"


def write_traceback(out: TextIO, exc_info: _ExcInfo) -> None:
    """Write the traceback of an error, of its causes and of its parts, as Python does but for such values."""
    out.write("".join(_lines(exc_info[1], set())).rstrip("\n"))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "\nThe direct cause of:\n\n" if error.__cause__ else "\nWhile it was handled:\n\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    said = safe_message(error)
    yield f"{type(error).__qualname__}: {said}\n" if said else f"{type(error).__qualname__}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, part in enumerate(error.exceptions, 1):
            yield f"\nPart {number} of it:\n\n"
            yield from _lines(part, seen)

"""The log lines of a run, from the file in which a local stack keeps the lines of its services."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The end of the file that is searched, and the most lines that are shown: the newest.
SEARCHED_BYTES = 32 * 1024 * 1024
MOST_LINES = 500


@dataclass(frozen=True)
class LogLine:
    """A line of a service. `rest` are its other fields as JSON."""

    at: str
    service: str
    level: str
    event: str
    rest: str


def lines_of_run(file: Path, run: int) -> tuple[LogLine, ...]:
    """The newest lines that name the run, in order. Raises OSError."""
    with file.open("rb") as opened:
        opened.seek(max(0, opened.seek(0, 2) - SEARCHED_BYTES))
        found = [line for raw in opened if str(run).encode() in raw for line in _line(raw, run)]
    return tuple(found[-MOST_LINES:])


def _line(raw: bytes, run: int) -> Iterator[LogLine]:
    try:
        fields = json.loads(raw)
    except ValueError:
        return
    if isinstance(fields, dict) and (fields.get("run") == run or run in _runs(fields)):
        at, service, level, event = (str(fields.pop(name, "")) for name in ("timestamp", "service", "level", "event"))
        rest = json.dumps({name: value for name, value in fields.items() if name not in {"_aws", "logger", "run"}})
        yield LogLine(at, service, level, event, rest)


def _runs(fields: dict[str, Any]) -> list[Any]:
    runs = fields.get("runs")
    return runs if isinstance(runs, list) else []

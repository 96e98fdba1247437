"""What commands print: the result on standard output, as text or JSON; notes on standard error."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

from totesys_cli.command_errors import UsageError


@dataclass(frozen=True)
class Output:
    """Where a command prints."""

    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
    console: Console = field(default_factory=Console)
    notes: Console = field(default_factory=lambda: Console(stderr=True))

    def result(self, document: object, text: RenderableType) -> None:
        """Print `document` as JSON, or `text`."""
        if self.json:
            self.console.print_json(data=document, default=to_plain, ensure_ascii=False)
        else:
            # Lines of text are for the terminal to wrap; tables fit its width.
            self.console.print(text, soft_wrap=isinstance(text, str | Text), markup=False, highlight=False)

    def event(self, document: object, text: RenderableType | None) -> None:
        """Print one of many results: `document` as a line of JSON, or `text` unless it is None."""
        if self.json:
            self.console.print_json(data=document, default=to_plain, indent=None, ensure_ascii=False)
        elif text is not None:
            self.result(document, text)

    def note(self, text: str) -> None:
        """Print a line on standard error."""
        self.notes.print(text, soft_wrap=True, markup=False, highlight=False)


def write_document(text: str, file: Path | None) -> None:
    """Write `text` to `file`, or print it. Raises UsageError if the file cannot be written."""
    if file is None:
        print(text, end="")
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}. Name another file.") from error


def to_plain(value: Any) -> Any:
    """Convert a value for `json`; amounts become strings, which keep every digit."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def table(*columns: str | Column, numbers: Sequence[str] = ()) -> Table:
    """An empty table: text columns, then right-aligned columns for numbers."""
    return Table(
        *(column if isinstance(column, Column) else Column(column, no_wrap=True) for column in columns),
        *(Column(name, justify="right", no_wrap=True) for name in numbers),
        box=SIMPLE_HEAD,
        # Counts of eight digits have to fit 80 columns; the box itself separates columns by a space.
        padding=0,
        show_edge=False,
    )


def count(number: int, style: str = "") -> Text:
    """A number, in this style unless it is 0."""
    return Text(f"{number:,}", style=style if number else "dim")


def printable(text: str) -> str:
    """Foreign text without control characters, which a terminal would obey. Print it as rich's Text, without markup."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


def one_line(text: str, characters: int) -> str:
    """The beginning of a foreign text, at most so many characters, on one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def timestamp(at: datetime) -> str:
    """A timestamp to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def time_of_day(at: datetime, now: datetime) -> str:
    """A timestamp for a narrow column: without the date if it is today's."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else timestamp(at)


def duration(seconds: float) -> str:
    """A duration for people: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def period(time: timedelta) -> str:
    """A period as options take it: 30s, 5m, 1h."""
    seconds = int(time.total_seconds())
    unit, size = next((unit, size) for unit, size in (("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0)
    return f"{seconds // size}{unit}"

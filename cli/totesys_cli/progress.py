"""Progress on standard error: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# The interval of lines where there is no terminal.
LINE_SECONDS = 10.0

Note = Callable[[str], None]


class _RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.1f}/s")


@dataclass
class Steps:
    """Steps done one after another, of `total`."""

    total: int
    _show: Callable[["Steps", str], None] = field(repr=False)
    done: int = 0

    def step(self, text: str, count: int = 1) -> None:
        """Show that so many more steps are done."""
        self.done += count
        self._show(self, text)


@contextmanager
def progress(total: int, every: float = 0.0) -> Iterator[Steps]:
    """Show how many of `total` steps are done; on a terminal also the rate and the remaining time.

    Elsewhere each step is a line, at most one per `every` seconds.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        lines = _TimedLines(console, every, time.monotonic())
        yield Steps(total, lambda steps, text: lines.note(f"{steps.done:,} of {steps.total:,}  {text}"))
        return
    columns = (BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn(compact=True), _description())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield Steps(
            total, lambda steps, text: bar.update(task, completed=steps.done, total=steps.total, description=text)
        )


@contextmanager
def going_on(seconds: float | None) -> Iterator[Note]:
    """Show the newest note of work that takes `seconds`, or has no end."""
    console, began = Console(stderr=True), time.monotonic()
    if not console.is_terminal:
        lines = _TimedLines(console, LINE_SECONDS)
        yield lambda text: lines.note(f"{time.monotonic() - began:,.0f} s  {text}")
        return
    shape = SpinnerColumn() if seconds is None else BarColumn()
    time_column = TimeElapsedColumn() if seconds is None else TimeRemainingColumn(compact=True)
    with Progress(shape, time_column, _description(), console=console, transient=True) as bar:
        task = bar.add_task("", total=seconds)
        yield lambda text: bar.update(task, completed=time.monotonic() - began, description=text)


@dataclass
class _TimedLines:
    """Prints a line at most every so many seconds."""

    console: Console
    every: float
    printed: float = float("-inf")

    def note(self, text: str) -> None:
        if (now := time.monotonic()) - self.printed >= self.every:
            self.printed = now
            self.console.print(text, soft_wrap=True, markup=False, highlight=False)


def _description() -> TextColumn:
    return TextColumn("{task.description}", markup=False)

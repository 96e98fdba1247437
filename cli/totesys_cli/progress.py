"""How far a call is, on standard error: a bar on a terminal, a line a step or now and then elsewhere."""

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
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# How often a line says what goes on, where there is no terminal.
LINE_SECONDS = 10.0

Tell = Callable[[str], None]


class _RateColumn(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.1f}/s")


@dataclass
class Steps:
    """Steps that are done one after the other, of `total`."""

    total: int
    _console: Console
    _bar: Progress | None = None
    _task: TaskID | None = None
    _every: float = 0.0
    _told: float = field(default_factory=time.monotonic)
    done: int = 0

    def step(self, text: str, count: int = 1) -> None:
        """Say that one more is done, or as many as `count`."""
        self.done += count
        if self._bar is None or self._task is None:
            self._line(f"{self.done:,} of {self.total:,}  {text}")
        else:
            self._bar.update(self._task, completed=self.done, total=self.total, description=text)

    def _line(self, text: str) -> None:
        if time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            _print(self._console, text)


@contextmanager
def progress(total: int, every: float = 0.0) -> Iterator[Steps]:
    """Show how many of `total` steps are done, and on a terminal how fast and how long the rest will take.

    Elsewhere it is a line a step, at most one in so many seconds as `every` says.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Steps(total, console, _every=every)
        return
    columns = (BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn(compact=True), _description())
    with Progress(*columns, console=console, transient=True) as bar:
        yield Steps(total, console, bar, bar.add_task("", total=total))


@contextmanager
def going_on(seconds: float | None) -> Iterator[Tell]:
    """Show the newest of what is told, by work that goes on for `seconds`, or for ever."""
    console, began = Console(stderr=True), time.monotonic()
    if not console.is_terminal:
        yield _now_and_then(console, began)
        return
    time_column = TimeElapsedColumn() if seconds is None else TimeRemainingColumn(compact=True)
    shape = SpinnerColumn() if seconds is None else BarColumn()
    with Progress(shape, time_column, _description(), console=console, transient=True) as bar:
        task = bar.add_task("", total=seconds)
        yield lambda text: bar.update(task, completed=time.monotonic() - began, description=text)


def _now_and_then(console: Console, began: float) -> Tell:
    """A line at once, and then every LINE_SECONDS."""
    told: float | None = None

    def tell(text: str) -> None:
        nonlocal told
        now = time.monotonic()
        if told is None or now - told >= LINE_SECONDS:
            told = now
            _print(console, f"{now - began:,.0f} s  {text}")

    return tell


def _description() -> TextColumn:
    return TextColumn("{task.description}", markup=False)


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)

"""How far a call is, on standard error: a bar on a terminal, a line a step elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@dataclass
class Steps:
    """Steps that are done one after the other, of `total`."""

    total: int
    _console: Console
    _bar: Progress | None = None
    _task: TaskID | None = None
    done: int = 0

    def step(self, text: str) -> None:
        """Say that one more is done."""
        self.done += 1
        if self._bar is None or self._task is None:
            line = f"{self.done:,} of {self.total:,}  {text}"
            self._console.print(line, soft_wrap=True, markup=False, highlight=False)
        else:
            self._bar.update(self._task, completed=self.done, total=self.total, description=text)


@contextmanager
def progress(total: int) -> Iterator[Steps]:
    """Show how many of `total` steps are done, and on a terminal how long the rest will take."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Steps(total, console)
        return
    left = TimeRemainingColumn(compact=True)
    description = TextColumn("{task.description}", markup=False)
    with Progress(BarColumn(), MofNCompleteColumn(), left, description, console=console, transient=True) as bar:
        yield Steps(total, console, bar, bar.add_task("", total=total))

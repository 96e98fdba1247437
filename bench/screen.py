"""What a person sees of the benchmark while it runs, and at its end."""

from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.figures import Figures
from bench.markdown import number
from bench.measurement import Measurement, Record
from bench.report import target_cells
from bench.results import Results
from bench.targets import targets


class Screen:
    """A line that says what is at work and for how long, and above it a line for each figure as it is recorded."""

    def __init__(self, console: Console, record: Record) -> None:
        columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("starting")
        self._record = record

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, step: str) -> None:
        """Name the step that begins; where there is no terminal, in a line of its own."""
        self._progress.update(self._task, description=escape(step))
        if not self._progress.console.is_terminal:
            self._progress.console.print(step, markup=False, highlight=False, soft_wrap=True)

    def fail(self, failure: str) -> None:
        """Print what failed."""
        self._progress.console.print(failure, style="red", markup=False, highlight=False, soft_wrap=True)

    def record(self, measurement: Measurement) -> None:
        """Record a figure, and print it."""
        self._record(measurement)
        self._progress.console.print(line(measurement), highlight=False, soft_wrap=True)


def line(measurement: Measurement) -> str:
    """A figure in one line."""
    m = measurement
    verified = "" if m.verified is None else "  verified" if m.verified else "  [red]NOT EQUAL[/red]"
    what = escape(f"{m.subject}, {m.contender}")
    return f"[dim]{m.case} {m.round}[/dim]  {what}  [bold]{number(m.value)}[/bold] {m.quantity}{verified}"


def show_end(console: Console, results: Results, folder: Path) -> None:
    """The targets, and where the rest is."""
    shown = Table("target", "wanted", "figure", "met")
    for target in targets(Figures(results.measurements)):
        shown.add_row(*target_cells(target), "[green]yes[/green]" if target.met else "[red]missed[/red]")
    if shown.row_count:
        console.print(shown)
    console.print(
        f"{len(results.measurements)} figures are in {folder}: results.md, results.json, charts", soft_wrap=True
    )

"""What the terminal shows while the benchmark runs, and at its end."""

from pathlib import Path
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.figures import Figures
from bench.markdown import number
from bench.measurement import Measurement, Record
from bench.results_file import Results
from bench.results_page import target_cells
from bench.targets import targets


class Screen:
    """The current step with its time, and above it a line for each figure."""

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
        """Show the step that begins; without a terminal, on a line of its own."""
        self._progress.update(self._task, description=escape(step))
        if not self._progress.console.is_terminal:
            self._progress.console.print(step, markup=False, highlight=False, soft_wrap=True)

    def fail(self, failure: str) -> None:
        """Print a failure."""
        self._progress.console.print(failure, style="red", markup=False, highlight=False, soft_wrap=True)

    def record(self, measurement: Measurement) -> None:
        """Record a figure and print it."""
        self._record(measurement)
        m = measurement
        verified = "" if m.verified is None else "  verified" if m.verified else "  [red]NOT EQUAL[/red]"
        line = f"[dim]{m.case} {m.round}[/dim]  {escape(f'{m.subject}, {m.contender}')}"
        self._progress.console.print(
            f"{line}  [bold]{number(m.value)}[/bold] {m.quantity}{verified}", highlight=False, soft_wrap=True
        )


def show_end(console: Console, results: Results, folder: Path) -> None:
    """Print the targets, and where the other results are."""
    shown = Table("target", "wanted", "figure", "met")
    for target in targets(Figures(results.measurements)):
        shown.add_row(*target_cells(target), "[green]yes[/green]" if target.met else "[red]missed[/red]")
    if shown.row_count:
        console.print(shown)
    console.print(
        f"{len(results.measurements)} figures are in {folder}: results.md, results.json, charts", soft_wrap=True
    )

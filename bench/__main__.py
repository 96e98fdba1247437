"""`python -m bench`: measures, and writes the results."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from traceback import format_exception
from typing import Annotated, Literal

import typer
from pydantic import ValidationError
from rich.console import Console

from bench.bench_server import DURABLE, WrongResult
from bench.history import record_full_run
from bench.machine import this_machine
from bench.measurement import Case
from bench.peers.measured_command import CommandFailed
from bench.results_file import Head, Journal, Results, read
from bench.runner import Failed, measure
from bench.screen import Screen, show_end
from bench.sizes import SIZES, Size
from bench.system import NotMeasurable
from totesys.errors import TotesysError
from totesys_cli.command_errors import FAILED, INTERRUPTED, USAGE_ERROR, LocalStackError

# Reported in a sentence; anything else is a defect, and is reported with its traceback.
FAILURES = (TotesysError, LocalStackError, WrongResult, NotMeasurable, CommandFailed, subprocess.CalledProcessError)

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(
    size: Annotated[Literal["small", "default", "full"], typer.Option(help="how much")] = "default",
    case: Annotated[list[Case] | None, typer.Option(help="only this case; may be repeated")] = None,
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("bench"),
    render: Annotated[bool, typer.Option("--render", help="render results.json again without measuring")] = False,
) -> None:
    """Measure the system beside its limits and other tools; write results.json, results.md and charts."""
    console = Console()
    if render:
        _render(console, out)
        return
    if not sys.platform.startswith("linux"):
        console.print("The benchmark reads CPU time and memory as Linux counts them. Run it on Linux.")
        raise typer.Exit(USAGE_ERROR)
    chosen = SIZES[size]
    head = Head(
        started=datetime.now(UTC), size=chosen.name, about=chosen.about, durable=DURABLE, machine=this_machine()
    )
    journal = Journal(out, Results(head=head))
    try:
        code = _measure(console, journal, chosen, case or list(Case))
    finally:
        if journal.results.measurements:
            _write(console, out, journal.results)
    raise typer.Exit(code)


def _render(console: Console, out: Path) -> None:
    try:
        results = read(out)
    except (OSError, ValidationError) as error:
        console.print(f"There are no results in {out}: {error}", markup=False, highlight=False)
        raise typer.Exit(USAGE_ERROR) from error
    _write(console, out, results)


def _write(console: Console, out: Path, results: Results) -> None:
    # Only this needs the library that draws.
    from bench.bar_charts import write_page

    write_page(out, results)
    show_end(console, results, out)


def _measure(console: Console, journal: Journal, size: Size, cases: list[Case]) -> int:
    """The exit code. A missed target is not a failure; an unequal warehouse or a failed case is."""

    def failed(what: str, error: Exception) -> None:
        failure = f"{what}: {type(error).__name__}: {error}".removesuffix(": ")
        journal.fail(" ".join(failure.split()))
        screen.fail(failure if isinstance(error, FAILURES) else "".join(format_exception(error)))

    with Screen(console, journal.record) as screen:
        try:
            asyncio.run(_until_stopped(size, cases, screen, failed))
        except asyncio.CancelledError:
            console.print("Interrupted.")
            return INTERRUPTED
        except FAILURES as error:
            screen.fail(f"{type(error).__name__}: {error}")
            return FAILED
    journal.finish()
    record_full_run(journal.folder, journal.results)
    unequal = any(measurement.verified is False for measurement in journal.results.measurements)
    return FAILED if unequal or journal.results.failures else 0


async def _until_stopped(size: Size, cases: list[Case], screen: Screen, failed: Failed) -> None:
    """Measure; Ctrl-C or SIGTERM end the run in order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await measure(size, screen.record, screen.say, failed, cases)


if __name__ == "__main__":
    app()

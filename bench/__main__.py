"""`python -m bench`: measures, and says what was measured."""

import asyncio
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from traceback import format_exception
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from bench.files import Journal, read, write_report
from bench.machine import this_machine
from bench.measurement import Case
from bench.peers.process import CommandFailed
from bench.results import Head, Results
from bench.run import Failed, measure
from bench.screen import Screen, show_end
from bench.sizes import SIZES, Size
from bench.stand import DURABLE, WrongResult
from bench.system import NotMeasurable
from totesys.errors import TotesysError
from totesys_cli.command_errors import FAILED, INTERRUPTED, USAGE_ERROR, LocalStackError

# What is told with a sentence; anything else is a defect, and is told with a traceback.
FAILURES = (TotesysError, LocalStackError, WrongResult, NotMeasurable, CommandFailed, subprocess.CalledProcessError)

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


def _known(size: str) -> str:
    if size not in SIZES:
        raise typer.BadParameter(f"{size} is none of {', '.join(SIZES)}.")
    return size


@app.command()
def main(
    size: Annotated[str, typer.Option(callback=_known, metavar="|".join(SIZES), help="how much")] = "default",
    case: Annotated[list[Case] | None, typer.Option(help="only this case; may be given several times")] = None,
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("bench"),
    render: Annotated[bool, typer.Option("--render", help="measure nothing, render results.json again")] = False,
) -> None:
    """Measure how fast the system is, beside the limit and beside others; write results.json, results.md and charts."""
    console = Console()
    if render:
        _render(console, out)
        return
    journal = Journal(out, Results(head=_head(SIZES[size])))
    try:
        code = _measure(console, journal, SIZES[size], case or list(Case))
    finally:
        if journal.results.measurements:
            write_report(out, journal.results)
            show_end(console, journal.results, out)
    raise typer.Exit(code)


def _render(console: Console, out: Path) -> None:
    try:
        results = read(out)
    except (OSError, ValidationError) as error:
        console.print(f"There are no results in {out}: {error}", markup=False, highlight=False)
        raise typer.Exit(USAGE_ERROR) from error
    write_report(out, results)
    show_end(console, results, out)


def _head(size: Size) -> Head:
    return Head(started=datetime.now(UTC), size=size.name, about=size.about, durable=DURABLE, machine=this_machine())


def _measure(console: Console, journal: Journal, size: Size, cases: list[Case]) -> int:
    """The exit code: a target that is missed is no failure; a warehouse that is not equal is, and a case."""

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
    unequal = any(measurement.verified is False for measurement in journal.results.measurements)
    return FAILED if unequal or journal.results.failures else 0


async def _until_stopped(size: Size, cases: list[Case], screen: Screen, failed: Failed) -> None:
    """Measure, until Ctrl-C or SIGTERM, which end it in order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await measure(size, screen.record, screen.say, failed, cases)


if __name__ == "__main__":
    app()

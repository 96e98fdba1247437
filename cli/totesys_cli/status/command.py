"""`totesys status` and `totesys runs`."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

from rich.console import Console
from rich.live import Live

from totesys.service.runs import RunState, list_runs, run_detail
from totesys_cli.errors import BadInput
from totesys_cli.place import Place
from totesys_cli.show import to_json
from totesys_cli.status.read import read_status
from totesys_cli.status.render import to_line, to_page, to_screen, to_table
from totesys_cli.status.snapshot import Status

Show = Callable[[Status], None]

# How many runs one request reads at a time, as `GET /runs` does.
PAGE = 200


async def show_status(console: Console, place: Place, *, json: bool) -> None:
    """Print the status now."""
    async with place.lake() as lake:
        status = await read_status(place, lake)
    if json:
        console.print_json(status.model_dump_json())
    else:
        console.print(to_screen(status))


async def watch_status(console: Console, place: Place, every: timedelta, *, json: bool) -> None:
    """Show the status every so often, until cancelled: in place on a terminal, elsewhere a line each time."""
    async with place.lake() as lake:
        with ExitStack() as stack:
            show = _screen(console, stack) if console.is_terminal and not json else _lines(console, json=json)
            while True:
                show(await read_status(place, lake))
                await asyncio.sleep(every.total_seconds())


def _screen(console: Console, stack: ExitStack) -> Show:
    live = stack.enter_context(Live(console=console, auto_refresh=False))
    return lambda status: live.update(to_screen(status), refresh=True)


def _lines(console: Console, *, json: bool) -> Show:
    def show(status: Status) -> None:
        line = status.model_dump_json() if json else to_line(status)
        console.print(line, soft_wrap=True, markup=False, highlight=False)

    return show


async def show_runs(console: Console, place: Place, limit: int, *, json: bool) -> None:
    """Print the newest runs, newest first."""
    async with place.lake() as lake:
        counter = await lake.counter()
        runs: list[RunState] = []
        before = counter.last + 1 if counter else 1
        while before > 1 and len(runs) < limit:
            # Numbers of runs that were never committed are left out.
            size = min(PAGE, limit - len(runs))
            runs += await list_runs(lake, size, before)
            before -= size
    if json:
        console.print_json(to_json(runs))
    elif runs:
        console.print(to_table(runs))
    else:
        console.print(f"The lake {place.name} has had no run.")


async def show_run(console: Console, place: Place, number: int, *, json: bool) -> None:
    """Print one run with its tables. Raises BadInput if there is none of this number."""
    async with place.lake() as lake:
        run = await run_detail(lake, number)
        if run is None:
            counter = await lake.counter()
            last = counter.last if counter else 0
            raise BadInput(f"Ingest has committed no run {number}; the last run number is {last}.")
    if json:
        console.print_json(run.model_dump_json())
    else:
        console.print(to_page(run))

"""`totesys status` and `totesys runs`."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta

from rich.live import Live

from totesys.service.runs import RunState, list_runs, run_detail
from totesys_cli.command_errors import UsageError
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation
from totesys_cli.status.status_reading import Status, read_status
from totesys_cli.status.status_screen import run_page, runs_table, to_line, to_screen
from totesys_cli.terminal import Output

# How many runs are read at a time, as `GET /runs` does.
PAGE = 200


async def show_status(output: Output, location: DataPlaneLocation) -> Status:
    """Print the status now; the status."""
    async with lake_at(location) as lake:
        status = await read_status(location, lake)
    output.result(status, to_screen(status))
    return status


async def watch_status(output: Output, location: DataPlaneLocation, every: timedelta) -> None:
    """Show the status every period until cancelled: in place on a terminal, elsewhere a line each time."""
    async with lake_at(location) as lake:
        with ExitStack() as stack:
            live = None
            if output.console.is_terminal and not output.json:
                live = stack.enter_context(Live(console=output.console, auto_refresh=False))
            while True:
                status = await read_status(location, lake)
                if live:
                    live.update(to_screen(status), refresh=True)
                else:
                    output.event(status, to_line(status))
                await asyncio.sleep(every.total_seconds())


async def show_runs(output: Output, location: DataPlaneLocation, limit: int) -> None:
    """Print the newest runs, newest first."""
    async with lake_at(location) as lake:
        runs: list[RunState] = []
        before = await lake.last_number() + 1
        while before > 1 and len(runs) < limit:
            # Run numbers that were never committed are left out.
            size = min(PAGE, limit - len(runs))
            runs += await list_runs(lake, size, before)
            before -= size
    output.result(runs, runs_table(runs) if runs else f"The lake {location.name} has no run yet.")


async def show_run(output: Output, location: DataPlaneLocation, number: int) -> None:
    """Print one run with its tables. Raises UsageError if there is none of this number."""
    async with lake_at(location) as lake:
        run = await run_detail(lake, number)
        if run is None:
            last = await lake.last_number()
            raise UsageError(f"Ingest has committed no run {number}; the last run number is {last}.")
    output.result(run, run_page(run))

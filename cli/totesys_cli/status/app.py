"""`totesys status` and `totesys runs`: their options."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.durations import parse_period
from totesys_cli.options import DEFAULT_PLANE, AsJson, Endpoint, PlaneName
from totesys_cli.stop import run_until_stopped


def status(
    watch: Annotated[bool, typer.Option("--watch", help="go on showing it, until Ctrl-C")] = False,
    every: Annotated[str, typer.Option(help="with --watch: period between two looks: 2s, 1m")] = "2s",
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
) -> None:
    """Show freshness, the last run of each stage, queues, dead letters, quarantine and the last verification."""
    from totesys_cli.place import Place
    from totesys_cli.status.command import show_status, watch_status

    place, period = Place(name, endpoint), parse_period(every)
    if watch:
        run_until_stopped(watch_status(Console(), place, period, json=json))
    else:
        asyncio.run(show_status(Console(), place, json=json))


def runs(
    run: Annotated[int | None, typer.Argument(help="one run, with its tables", min=1)] = None,
    limit: Annotated[int, typer.Option("--limit", help="how many, newest first", min=1)] = 20,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
) -> None:
    """Show what each stage did with each run, or with one run, table by table."""
    from totesys_cli.place import Place
    from totesys_cli.status.command import show_run, show_runs

    place = Place(name, endpoint)
    work = show_runs(Console(), place, limit, json=json) if run is None else show_run(Console(), place, run, json=json)
    asyncio.run(work)

"""`totesys trigger`: its options."""

from typing import Annotated, Literal

import typer
from rich.console import Console

from totesys.stage_names import Stage
from totesys_cli.durations import parse_period
from totesys_cli.options import DEFAULT_PLANE, AsJson, Endpoint, PlaneName
from totesys_cli.stop import run_until_stopped


def trigger(
    stage: Stage,
    mode: Annotated[
        Literal["changes", "full", "sweep", "repair"] | None,
        typer.Option(help="of ingest: what changed, everything, also what was deleted, or also rows that are named"),
    ] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--keys", metavar="TABLE=KEY,KEY", help="with --mode repair; may be given again")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="of load: compare the warehouse with the source")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="until it is done, and show what was")] = False,
    timeout: Annotated[str, typer.Option(help="how long to wait: 30s, 10m, 1h")] = "10m",
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
) -> None:
    """Wake a stage: ingest extracts, transform and load do what is undone. Runs are done again by `totesys replay`."""
    from totesys_cli.place import Place
    from totesys_cli.trigger.command import run_trigger
    from totesys_cli.trigger.wakeup import make_trigger

    wakeup = make_trigger(stage, mode, keys or [], verify=verify)
    longest = parse_period(timeout) if wait else None
    run_until_stopped(run_trigger(Console(), Place(name, endpoint), stage, wakeup, longest, json=json), has_end=True)

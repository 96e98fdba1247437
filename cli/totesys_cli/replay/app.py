"""`totesys replay`: its options."""

from typing import Annotated, Literal

import typer
from rich.console import Console

from totesys_cli.durations import parse_period
from totesys_cli.options import DEFAULT_PLANE, AsJson, Endpoint, PlaneName
from totesys_cli.stop import run_until_stopped


def replay(
    first: Annotated[int, typer.Option("--from", help="first run", min=1)],
    last: Annotated[int, typer.Option("--to", help="last run", min=1)],
    from_stage: Annotated[
        Literal["transform", "load"], typer.Option(help="transform and load do them again, or load alone")
    ] = "transform",
    timeout: Annotated[str, typer.Option(help="how long to wait: 30s, 10m, 1h")] = "30m",
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
) -> None:
    """Have the services do runs again, each exactly in the place of what it wrote, and wait for it."""
    from totesys_cli.place import Place
    from totesys_cli.replay.command import Order, run_replay

    order = Order(first, last, from_stage, parse_period(timeout))
    run_until_stopped(run_replay(Console(), Place(name, endpoint), order, json=json), has_end=True)

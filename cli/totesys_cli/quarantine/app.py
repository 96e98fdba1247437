"""`totesys quarantine`: its commands and their options."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.options import DEFAULT_MODEL, DEFAULT_PLANE, AsJson, Endpoint, ModelName, PlaneName

quarantine = typer.Typer(help="Look at the rows that could not become warehouse rows.", no_args_is_help=True)

Run = Annotated[int | None, typer.Option("--run", help="only of this run", min=1)]


@quarantine.command("list")
def list_quarantine(
    table: Annotated[str | None, typer.Option("--table", help="only of this warehouse table")] = None,
    run: Run = None,
    limit: Annotated[int, typer.Option("--limit", help="how many lines, newest run first", min=1)] = 100,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Count them by run, warehouse table and reason."""
    from totesys_cli.place import Place
    from totesys_cli.quarantine.command import list_reasons
    from totesys_cli.quarantine.rows import Wanted

    asyncio.run(list_reasons(Console(), Place(name, endpoint), model, Wanted(table, run), limit, json=json))


@quarantine.command("show")
def show_quarantine(
    table: Annotated[str, typer.Argument(help="the warehouse table")],
    run: Run = None,
    key: Annotated[str | None, typer.Option("--key", help="only the row with this key")] = None,
    limit: Annotated[int, typer.Option("--limit", help="how many rows, newest run first", min=1)] = 20,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Show them whole: every value of the source, the reasons, the run and the object."""
    from totesys_cli.place import Place
    from totesys_cli.quarantine.command import show_rows
    from totesys_cli.quarantine.rows import Wanted

    asyncio.run(show_rows(Console(), Place(name, endpoint), model, Wanted(table, run, key), limit, json=json))

"""`totesys quarantine`: which rows could not become warehouse rows, and why."""

from rich.console import Console

from totesys.schema import load_model
from totesys_cli.place import Place
from totesys_cli.quarantine import render
from totesys_cli.quarantine.rows import Wanted, read_reasons, read_rows


async def list_reasons(console: Console, place: Place, model: str, wanted: Wanted, limit: int, *, json: bool) -> None:
    """Print how many rows there are, by run, table and reason, and beside them whether there are more."""
    async with place.lake() as lake:
        reasons = await read_reasons(lake, load_model(model), wanted, limit + 1)
    if json:
        console.print_json(render.to_json(reasons[:limit]))
    elif reasons:
        console.print(render.to_table(reasons[:limit]))
    else:
        console.print("Nothing is in quarantine.")
    _say_if_more(len(reasons), limit)


async def show_rows(console: Console, place: Place, model: str, wanted: Wanted, limit: int, *, json: bool) -> None:
    """Print rows whole, and beside them whether there are more."""
    async with place.lake() as lake:
        rows = await read_rows(lake, load_model(model), wanted, limit + 1)
    if json:
        console.print_json(render.to_json(rows[:limit]))
    elif rows:
        console.print(render.to_pages(rows[:limit]), soft_wrap=True, highlight=False)
    else:
        console.print("No such row is in quarantine.")
    _say_if_more(len(rows), limit)


def _say_if_more(found: int, limit: int) -> None:
    if found > limit:
        Console(stderr=True).print(f"--limit {limit} is reached, there are more.")

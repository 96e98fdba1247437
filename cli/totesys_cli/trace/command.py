"""`totesys trace`."""

from dataclasses import dataclass, field

from rich.console import Console

from totesys.schema import load_model
from totesys_cli.errors import BadInput
from totesys_cli.place import Place
from totesys_cli.trace.render import to_page
from totesys_load.trace.row_origin import TraceRequest, trace_row


@dataclass(frozen=True)
class Warehouse:
    """The warehouse that holds the row. `model` is the module whose MODEL declares its tables."""

    dsn: str = field(repr=False)
    schema: str
    model: str


async def run_trace(console: Console, place: Place, warehouse: Warehouse, asked: TraceRequest, *, json: bool) -> None:
    """Print where a row came from. Raises BadInput where there is none."""
    async with place.lake() as lake:
        found = await trace_row(lake, load_model(warehouse.model), warehouse.dsn, warehouse.schema, asked)
    if found is None:
        version = f", version {asked.version}" if asked.version is not None else ""
        raise BadInput(f"Neither the warehouse nor the quarantine has {asked.table} {asked.id}{version}.")
    if json:
        console.print_json(found.model_dump_json())
    else:
        console.print(to_page(found), soft_wrap=True, highlight=False)

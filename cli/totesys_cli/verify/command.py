"""`totesys verify`."""

from rich.console import Console

from totesys.schema import load_model
from totesys_cli.databases import Databases
from totesys_cli.preflight import check_source
from totesys_cli.verify.comparison import equal
from totesys_cli.verify.render import to_json, to_table
from totesys_cli.verify.verification import verify


async def run_verification(console: Console, databases: Databases, *, json: bool) -> bool:
    """Compare source and warehouse and print the result; whether all is equal."""
    model = load_model(databases.model)
    await check_source(model, databases.source, databases.source_schema)
    comparisons = await verify(
        databases.source,
        databases.warehouse,
        model,
        source_schema=databases.source_schema,
        warehouse_schema=databases.warehouse_schema,
    )
    if json:
        console.print_json(to_json(comparisons))
    else:
        console.print(to_table(comparisons))
    return equal(comparisons)

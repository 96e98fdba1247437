"""`totesys verify`."""

from rich.console import Console

from totesys.schema import load_model
from totesys.verify import Verification, verify
from totesys_cli.databases import Databases
from totesys_cli.preflight import check_source
from totesys_cli.verify.render import to_json, to_table


async def run_verification(console: Console, databases: Databases, *, json: bool) -> bool:
    """Compare source and warehouse and print the result; whether all is equal."""
    model = load_model(databases.model)
    await check_source(model, databases.source, databases.source_schema)
    verification = await verified(databases)
    show(console, verification, json=json)
    return verification.is_equal


async def verified(databases: Databases) -> Verification:
    """Compare source and warehouse."""
    return await verify(
        databases.source,
        databases.warehouse,
        load_model(databases.model),
        source_schema=databases.source_schema,
        warehouse_schema=databases.warehouse_schema,
    )


def show(console: Console, verification: Verification, *, json: bool) -> None:
    """Print what a verification found."""
    if json:
        console.print_json(to_json(verification))
    else:
        console.print(to_table(verification))

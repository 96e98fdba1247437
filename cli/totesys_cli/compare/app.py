"""`totesys compare`: its options."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.errors import FAILED
from totesys_cli.options import DEFAULT_MODEL, DSN, AsJson, ModelName, WarehouseDsn, WarehouseSchema


def compare(
    warehouse: WarehouseDsn,
    other: Annotated[str, typer.Option("--with", envvar="TOTESYS_OTHER_WAREHOUSE_DSN", help=DSN)],
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
    warehouse_schema: WarehouseSchema = "warehouse",
) -> None:
    """Compare two warehouses of one lake by checksums, table by table and run by run; exit 0 only if they are equal."""
    from totesys_cli.compare.command import run_comparison

    if not asyncio.run(run_comparison(Console(), warehouse, other, model, warehouse_schema, json=json)):
        raise typer.Exit(FAILED)

"""`totesys trace`: its options."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PLANE,
    AsJson,
    Endpoint,
    ModelName,
    PlaneName,
    WarehouseDsn,
    WarehouseSchema,
)


def trace(
    table: Annotated[str, typer.Argument(help="the warehouse table")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="the row's id")],
    warehouse: WarehouseDsn,
    version: Annotated[int | None, typer.Option("--version", help="only this record id, of a fact", min=1)] = None,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    model: ModelName = DEFAULT_MODEL,
    warehouse_schema: WarehouseSchema = "warehouse",
) -> None:
    """Show where a row came from: its run, snapshot, transaction ids, times and objects; deletions and quarantine."""
    from totesys_cli.place import Place
    from totesys_cli.trace.command import Warehouse, run_trace
    from totesys_load.trace.row_origin import TraceRequest

    asked, of = TraceRequest(table, id_, version), Warehouse(warehouse, warehouse_schema, model)
    asyncio.run(run_trace(Console(), Place(name, endpoint), of, asked, json=json))

"""`totesys doctor`: its options."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.databases import Databases
from totesys_cli.errors import FAILED
from totesys_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PLANE,
    AsJson,
    Endpoint,
    ModelName,
    PlaneName,
    SourceDsn,
    SourceSchema,
    WarehouseDsn,
    WarehouseSchema,
)


def doctor(
    context: typer.Context,
    source: SourceDsn,
    warehouse: WarehouseDsn,
    quiet: Annotated[bool, typer.Option("--quiet", help="only what is not ok")] = False,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    model: ModelName = DEFAULT_MODEL,
    source_schema: SourceSchema = "public",
    warehouse_schema: WarehouseSchema = "warehouse",
) -> None:
    """Check settings, databases, rights, clocks and the data plane, and say how to mend each; exit 0 if none fails."""
    from totesys_cli.doctor.command import run_doctor
    from totesys_cli.place import Place
    from totesys_cli.settings.page import all_names

    databases = Databases(source, warehouse, model, source_schema, warehouse_schema)
    known = all_names(context.find_root().command)
    if not asyncio.run(run_doctor(Console(), databases, Place(name, endpoint), known, quiet=quiet, json=json)):
        raise typer.Exit(FAILED)

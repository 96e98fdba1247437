"""`totesys report`: its options."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.options import DEFAULT_MODEL, AsJson, ModelName, WarehouseDsn


def report(
    warehouse: WarehouseDsn,
    output: Annotated[Path | None, typer.Option(help="file to write; printed if not given")] = None,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="before it a payment is overdue; the newest run's day if not given"),
    ] = None,
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Make a page for the business side: sales, purchases, payments, freshness and quality, each with its SQL."""
    from totesys_cli.report.command import run_report

    on = day.date() if day else None
    asyncio.run(run_report(Console(), warehouse, model, on, output, json=json))

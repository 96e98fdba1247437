"""`totesys local`: its commands and their options."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from totesys_cli.durations import parse_period
from totesys_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PLANE,
    AsJson,
    ModelName,
    PlaneName,
    SourceDsn,
    WarehouseDsn,
    WarehouseSchema,
)

local = typer.Typer(
    help="Make what a local stack is made of: its data plane in the emulator, its databases.", no_args_is_help=True
)


@local.command("data-plane")
def local_data_plane(
    endpoint: Annotated[str, typer.Option("--endpoint", envvar="AWS_ENDPOINT_URL", help="the emulator's address")],
    every: Annotated[str, typer.Option(envvar="TOTESYS_EVERY", help="period of the tick: 1m, 5m, 1h")] = "5m",
    name: PlaneName = DEFAULT_PLANE,
    json: AsJson = False,
) -> None:
    """Make buckets, queues and the schedule in the emulator, or bring them up to date; objects stay."""
    from totesys_cli.local.command import deploy

    deploy(Console(), endpoint, name, parse_period(every), json=json)


@local.command("secrets")
def local_secrets(
    folder: Annotated[Path, typer.Argument(help="where each container's own folder is made")],
    owner_password: Annotated[str, typer.Option(envvar="POSTGRES_PASSWORD", help="of both databases' owner")] = "",
    reader_password: Annotated[str, typer.Option(envvar="TOTESYS_READER_PASSWORD", help="of ingest's role")] = "",
    loader_password: Annotated[str, typer.Option(envvar="TOTESYS_LOADER_PASSWORD", help="of load's role")] = "",
    trigger_token: Annotated[str, typer.Option(envvar="TOTESYS_TRIGGER_TOKEN", help="of POST /trigger")] = "",
) -> None:
    """Write a composed stack's secrets: as set, else as they are, else made up; print their files' names alone."""
    from totesys_cli.local.secrets import Chosen, write_secrets

    for file in write_secrets(folder, Chosen(owner_password, reader_password, loader_password, trigger_token)):
        print(file)


@local.command("databases")
def local_databases(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    reader_password: Annotated[str, typer.Option(envvar="TOTESYS_READER_PASSWORD", help="of ingest's role")],
    loader_password: Annotated[str, typer.Option(envvar="TOTESYS_LOADER_PASSWORD", help="of load's role")],
    seed: Annotated[int, typer.Option(envvar="TOTESYS_SEED", help="seed of the generated data")] = 1,
    scale: Annotated[
        float, typer.Option(envvar="TOTESYS_SCALE", help="times 48,066 rows are generated", min=0.001, max=10_000)
    ] = 1.0,
    reset_passwords: Annotated[
        bool, typer.Option("--reset-passwords", help="of roles that are there with other passwords")
    ] = False,
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """As the owner of both: fill the source where it is empty, have the roles of ingest and load."""
    from totesys_cli.databases import Databases
    from totesys_cli.local.command import Passwords, Past, make_databases

    passwords = Passwords(reader_password, loader_password, reset=reset_passwords)
    asyncio.run(make_databases(Console(), Databases(source, warehouse, model), passwords, Past(seed, scale), json=json))


@local.command("reader")
def local_reader(
    name: Annotated[str, typer.Argument(help="name of the role", show_default=False)],
    warehouse: WarehouseDsn,
    password_file: Annotated[
        Path | None,
        typer.Option(help="file that holds the password; without it, TOTESYS_ANALYST_PASSWORD or a prompt"),
    ] = None,
    reset_password: Annotated[
        bool, typer.Option("--reset-password", help="also set the password of a role that exists")
    ] = False,
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
    warehouse_schema: WarehouseSchema = "warehouse",
) -> None:
    """As the owner of the warehouse: create a role that reads the stars and the ledger, and nothing else."""
    from totesys_cli.analyst.command import make_reader

    wanted = make_reader(
        Console(), name, warehouse, model, warehouse_schema, password_file, reset=reset_password, json=json
    )
    asyncio.run(wanted)

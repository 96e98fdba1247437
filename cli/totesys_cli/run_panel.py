"""The commands that run the system: `run`, `demo`, `simulate`, `local`."""

from pathlib import Path
from typing import Annotated

import typer

from totesys_cli.command_errors import UsageError
from totesys_cli.durations import parse_period
from totesys_cli.interruption import run_to_end, run_until_stopped
from totesys_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PLANE,
    Databases,
    DemoFault,
    ModelName,
    PlaneName,
    SourceDsn,
    WarehouseDsn,
    WarehouseLocation,
    examples,
    grouped,
    require_name,
    require_url,
)
from totesys_cli.terminal import Output

PANEL = "Run"
run_panel = typer.Typer()
local = typer.Typer(help="Prepare a local stack on servers that already run.", no_args_is_help=True)
run_panel.add_typer(local, name="local", rich_help_panel=PANEL)

WithLakehouse = Annotated[bool, typer.Option("--lakehouse", help="Also commit every run to Iceberg tables.")]
Rate = Annotated[float, typer.Option(help="Changed rows per second.", metavar="N", min=0.1, max=100_000)]
ReaderPassword = Annotated[str, typer.Option(envvar="TOTESYS_READER_PASSWORD", help="Password of ingest's role.")]
LoaderPassword = Annotated[str, typer.Option(envvar="TOTESYS_LOADER_PASSWORD", help="Password of load's role.")]


@run_panel.command(
    rich_help_panel=PANEL,
    epilog=examples("totesys run --state lake --once", "totesys run --state lake --every 30s --log services.log"),
)
@grouped
def run(
    databases: Databases,
    output: Output,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the lake. Default: a temporary one.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Extract once and exit.")] = False,
    every: Annotated[str, typer.Option(help="Time between extractions: 30s, 5m, 1h.")] = "5m",
    sweep: Annotated[bool, typer.Option("--sweep", help="With --once: also find deleted rows.")] = False,
    port: Annotated[
        int, typer.Option(help="First of three HTTP ports; 0: free ones.", metavar="PORT", min=0, max=65533)
    ] = 0,
    log: Annotated[Path | None, typer.Option(help="File that receives the services' log lines.")] = None,
    lakehouse: WithLakehouse = False,
) -> None:
    """Run the pipeline against two databases, once or on a schedule until Ctrl-C."""
    from totesys_cli.run_command import RunOptions, run_on_schedule, run_once

    options, period = RunOptions(state, port, log, lakehouse), parse_period(every)
    if once:
        run_to_end(run_once(output, databases, options, sweep=sweep))
    elif sweep:
        raise UsageError("--sweep goes with --once. Leave it out: the schedule runs a deletion sweep every hour.")
    else:
        run_until_stopped(run_on_schedule(output, databases, options, period))


@run_panel.command(
    rich_help_panel=PANEL,
    epilog=examples("totesys demo", "totesys demo --once --seed 7 --rate 500", "totesys demo --break drift"),
)
@grouped
def demo(
    output: Output,
    once: Annotated[bool, typer.Option("--once", help="Exit after one verified round.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the generated data.")] = 1,
    rate: Rate = 50.0,
    lakehouse: WithLakehouse = False,
    model: ModelName = DEFAULT_MODEL,
    fault: Annotated[
        DemoFault | None,
        typer.Option(
            "--break", metavar="FAULT", help="Break it after the first load: drift, outage, quarantine or poison."
        ),
    ] = None,
) -> None:
    """Run the whole system on this machine with generated data, verified, until Ctrl-C."""
    from totesys_cli.demo import run_demo

    if once and fault:
        raise UsageError("--break goes without --once: the demo waits for the fix. Leave one of them out.")
    work = run_demo(output, model, once=once, seed=seed, rate=rate, lakehouse=lakehouse, fault=fault)
    (run_to_end if once else run_until_stopped)(work)


@run_panel.command(rich_help_panel=PANEL, epilog=examples("totesys simulate --rate 200 --seconds 60"))
@grouped
def simulate(
    source: SourceDsn,
    output: Output,
    rate: Rate = 20.0,
    seconds: Annotated[
        float | None, typer.Option(help="Duration. Default: until Ctrl-C.", metavar="N", min=0, max=31_536_000)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the generated changes.")] = 1,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Write to the source like the model's source application, with long and rolled-back transactions."""
    from totesys_cli.simulate import run_simulation

    run_until_stopped(run_simulation(output, source, model, rate=rate, seconds=seconds, seed=seed))


@local.command("data-plane", epilog=examples("totesys local data-plane --endpoint http://127.0.0.1:4566 --every 1m"))
@grouped
def local_data_plane(
    output: Output,
    endpoint: Annotated[
        str, typer.Option(envvar="AWS_ENDPOINT_URL", metavar="URL", help="Address of the AWS emulator.")
    ],
    every: Annotated[str, typer.Option(envvar="TOTESYS_EVERY", help="Time between ticks: 1m, 5m, 1h.")] = "5m",
    lakehouse: Annotated[
        bool, typer.Option("--lakehouse", envvar="TOTESYS_LAKEHOUSE", help="Also create the lakehouse's queue.")
    ] = False,
    name: PlaneName = DEFAULT_PLANE,
) -> None:
    """Create or update buckets, queues and the schedule in an AWS emulator; objects stay."""
    from totesys_cli.local.emulated_data_plane import deploy

    require_name(name)
    require_url(endpoint)
    deploy(output, endpoint, name, parse_period(every), lakehouse=lakehouse)


@local.command("secrets", epilog=examples("totesys local secrets /run/stack-secrets"))
def local_secrets(
    folder: Annotated[Path, typer.Argument(help="Folder that gets a subfolder for each container.")],
    owner_password: Annotated[
        str, typer.Option(envvar="POSTGRES_PASSWORD", help="Password of the databases' owner.")
    ] = "",
    reader_password: ReaderPassword = "",
    loader_password: LoaderPassword = "",
    trigger_token: Annotated[str, typer.Option(envvar="TOTESYS_TRIGGER_TOKEN", help="Token of POST /trigger.")] = "",
    alert_webhook: Annotated[
        str, typer.Option(envvar="TOTESYS_ALERT_WEBHOOK", help="Address that takes alerts; none by default.")
    ] = "",
) -> None:
    """Write the secrets of a composed stack: given ones, else existing ones, else generated ones; print their paths."""
    from totesys_cli.local.stack_secrets import write_secrets

    for file in write_secrets(folder, owner_password, reader_password, loader_password, trigger_token, alert_webhook):
        print(file)


@local.command("reader", epilog=examples("totesys local reader analyst --password-file password.txt"))
@grouped
def local_reader(
    name: Annotated[str, typer.Argument(help="Name of the role.")],
    warehouse: WarehouseLocation,
    output: Output,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password. Default: TOTESYS_ANALYST_PASSWORD, or a prompt.")
    ] = None,
    reset_password: Annotated[
        bool, typer.Option("--reset-password", help="Change the password of an existing role.")
    ] = False,
) -> None:
    """As the owner of the warehouse: create a role that reads the stars and the ledger, and nothing else."""
    from totesys_cli.analyst.analyst_command import make_reader

    run_to_end(make_reader(output, name, warehouse, password_file, reset=reset_password))


@local.command("databases", epilog=examples("totesys local databases --scale 0.1", "totesys local databases --seed 7"))
@grouped
def local_databases(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    reader_password: ReaderPassword,
    loader_password: LoaderPassword,
    output: Output,
    seed: Annotated[int, typer.Option(envvar="TOTESYS_SEED", help="Seed of the generated data.")] = 1,
    scale: Annotated[
        float, typer.Option(envvar="TOTESYS_SCALE", help="Multiple of 48,066 rows.", metavar="N", min=0.001, max=10_000)
    ] = 1.0,
    reset_passwords: Annotated[
        bool, typer.Option("--reset-passwords", help="Change the passwords of existing roles.")
    ] = False,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """As the owner of both databases: fill an empty source, and create the roles of ingest and load."""
    from totesys_cli.local.local_databases import LoginRole, make_databases
    from totesys_cli.local.stack_secrets import LOADER, READER

    databases = Databases(source, warehouse, model)
    reader, loader = LoginRole(READER, reader_password), LoginRole(LOADER, loader_password)
    run_to_end(make_databases(output, databases, reader, loader, reset=reset_passwords, seed=seed, scale=scale))

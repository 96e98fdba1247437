"""The command `totesys`."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from rich.console import Console

from totesys.errors import TotesysError
from totesys_cli.databases import Databases
from totesys_cli.durations import parse_period
from totesys_cli.errors import FAILED, INTERRUPTED, WRONG_CALL, StageFailed
from totesys_cli.local.errors import LocalStackError

app = typer.Typer(
    help="Keep a star-schema warehouse of a Postgres database.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
dlq = typer.Typer(
    help="Look at the messages that a service gave up, send them back, or delete them.", no_args_is_help=True
)
app.add_typer(dlq, name="dlq")
local = typer.Typer(
    help="Make what a local stack is made of: its data plane in the emulator, its databases.", no_args_is_help=True
)
app.add_typer(local, name="local")

_DSN = "postgresql://user:password@host:port/database"
# In the environment no other account of the machine sees a password.
SourceDsn = Annotated[str, typer.Option("--source", envvar="TOTESYS_SOURCE_DSN", help=_DSN)]
WarehouseDsn = Annotated[str, typer.Option("--warehouse", envvar="TOTESYS_WAREHOUSE_DSN", help=_DSN)]
ModelName = Annotated[str, typer.Option("--model", envvar="TOTESYS_MODEL", help="module that declares the tables")]
SourceSchema = Annotated[str, typer.Option(help="schema of the source tables")]
WarehouseSchema = Annotated[str, typer.Option(help="schema of the warehouse tables")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
DEFAULT_MODEL = "totesys.model"

Stage = Literal["ingest", "transform", "load"]
AnyStage = Annotated[Stage | None, typer.Argument(help="the service; all three if not given")]
PlaneName = Annotated[str, typer.Option("--name", help="name of the data plane, which queue names begin with")]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", help="address of a local stack's lake; AWS's own settings if not given"),
]
Limit = Annotated[int, typer.Option("--limit", help="how many messages to take of a queue", min=1)]
Ids = Annotated[list[str] | None, typer.Option("--id", help="only this message; may be given again")]
DEFAULT_PLANE = "totesys"
DEFAULT_LIMIT = 1000


@app.command()
def run(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    state: Annotated[Path | None, typer.Option(help="folder that keeps the lake between calls")] = None,
    every: Annotated[str, typer.Option(help="period between extractions: 30s, 5m, 1h")] = "5m",
    once: Annotated[bool, typer.Option("--once", help="one extraction, then end")] = False,
    json: AsJson = False,
    port: Annotated[int, typer.Option(help="first of three ports for HTTP; 0: free ones", min=0, max=65533)] = 0,
    log: Annotated[Path | None, typer.Option(help="file for the services' log lines")] = None,
    model: ModelName = DEFAULT_MODEL,
    source_schema: SourceSchema = "public",
    warehouse_schema: WarehouseSchema = "warehouse",
) -> None:
    """Bring the source's changes to the warehouse: once, or on a schedule until Ctrl-C."""
    from totesys_cli.run import RunOptions, run_on_schedule, run_once

    databases = Databases(source, warehouse, model, source_schema, warehouse_schema)
    options = RunOptions(state, port, log, json)
    period = parse_period(every)
    console = Console()
    _run_until_stopped(
        run_once(databases, options, console) if once else run_on_schedule(databases, options, period, console),
        has_end=once,
    )


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="end after one verified round")] = False,
    seed: Annotated[int, typer.Option(help="seed of the generated data")] = 1,
    rate: Annotated[float, typer.Option(help="changed rows a second", min=0.1)] = 50.0,
) -> None:
    """The whole system on this machine with generated data, live, verified."""
    from totesys_cli.demo import run_demo

    _run_until_stopped(run_demo(Console(), once=once, seed=seed, rate=rate), has_end=once)


@app.command()
def simulate(
    source: SourceDsn,
    rate: Annotated[float, typer.Option(help="changed rows a second", min=0.1)] = 20.0,
    seconds: Annotated[float | None, typer.Option(help="how long; for ever if not given", min=0)] = None,
    seed: Annotated[int, typer.Option(help="seed of what happens")] = 1,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Write to the source as the company would: orders, payments, moves, long and rolled-back transactions."""
    from totesys_cli.simulate import run_simulation

    _run_until_stopped(run_simulation(Console(), source, model, rate=rate, seconds=seconds, seed=seed))


@app.command()
def verify(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
    source_schema: SourceSchema = "public",
    warehouse_schema: WarehouseSchema = "warehouse",
) -> None:
    """Compare every row and column of the source with the warehouse; exit 0 only if all are equal."""
    from totesys_cli.verify.command import run_verification

    databases = Databases(source, warehouse, model, source_schema, warehouse_schema)
    if not asyncio.run(run_verification(Console(), databases, json=json)):
        raise typer.Exit(FAILED)


@dlq.command("list")
def list_dead_letters(
    stage: AnyStage = None,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Show which messages there are, and why."""
    from totesys_cli.dead_letters.command import list_letters
    from totesys_cli.dead_letters.queues import Place

    list_letters(Console(), Place(name, endpoint), _stages(stage), limit, json=json)


@dlq.command("show")
def show_dead_letter(
    stage: Stage,
    message: Annotated[str, typer.Argument(metavar="ID", help="its id, or how that begins")],
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Show one message whole."""
    from totesys_cli.dead_letters.command import show_letter
    from totesys_cli.dead_letters.queues import Place

    show_letter(Console(), Place(name, endpoint), stage, message, limit, json=json)


@dlq.command("redrive")
def redrive_dead_letters(
    stage: AnyStage = None,
    ids: Ids = None,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Send messages back to their service, which tries them again."""
    from totesys_cli.dead_letters.command import redrive
    from totesys_cli.dead_letters.queues import Place

    redrive(Console(), Place(name, endpoint), _stages(stage), ids or [], limit)


@dlq.command("purge")
def purge_dead_letters(
    stage: AnyStage = None,
    ids: Ids = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Delete messages for good, after a question."""
    from totesys_cli.dead_letters.command import purge
    from totesys_cli.dead_letters.queues import Place

    purge(Console(), Place(name, endpoint), _stages(stage), ids or [], limit, yes=yes)


@local.command("data-plane")
def local_data_plane(
    endpoint: Annotated[str, typer.Option("--endpoint", envvar="AWS_ENDPOINT_URL", help="the emulator's address")],
    every: Annotated[str, typer.Option(envvar="TOTESYS_EVERY", help="period of the tick: 1m, 5m, 1h")] = "5m",
    name: PlaneName = DEFAULT_PLANE,
) -> None:
    """Make buckets, queues and the schedule in the emulator, or bring them up to date; objects stay."""
    from totesys_cli.local.command import deploy

    deploy(Console(), endpoint, name, parse_period(every))


@local.command("databases")
def local_databases(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    reader_password: Annotated[str, typer.Option(envvar="TOTESYS_READER_PASSWORD", help="of ingest's role")],
    loader_password: Annotated[str, typer.Option(envvar="TOTESYS_LOADER_PASSWORD", help="of load's role")],
    seed: Annotated[int, typer.Option(envvar="TOTESYS_SEED", help="seed of the generated data")] = 1,
    scale: Annotated[
        float, typer.Option(envvar="TOTESYS_SCALE", help="times 48,066 rows are generated", min=0.001)
    ] = 1.0,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """As the owner of both: fill the source where it is empty, have the roles of ingest and load."""
    from totesys_cli.local.command import Past, make_databases

    past = Past(model, seed, scale)
    asyncio.run(make_databases(Console(), source, warehouse, reader_password, loader_password, past))


def _stages(stage: Stage | None) -> list[str]:
    return list(get_args(Stage)) if stage is None else [stage]


def main() -> None:
    """Run the command; an error is one sentence, without a traceback."""
    try:
        app()
    except StageFailed as error:
        _end(error, FAILED)
    except (TotesysError, LocalStackError) as error:
        _end(error, WRONG_CALL)


def _end(error: Exception, code: int) -> None:
    print(f"totesys: {error}", file=sys.stderr)
    sys.exit(code)


def _run_until_stopped(work: Coroutine[Any, Any, None], *, has_end: bool = False) -> None:
    """Run until it ends, or until Ctrl-C or SIGTERM, which end it in order: too early if it `has_end` of its own."""

    async def stoppable() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await work

    try:
        asyncio.run(stoppable())
    except asyncio.CancelledError:
        if has_end:
            sys.exit(INTERRUPTED)

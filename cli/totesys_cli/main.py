"""The command `totesys`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from totesys.errors import TotesysError
from totesys.service_settings import SECRETS_DIR
from totesys.version import VERSION, describe, find_revision
from totesys_cli.compare.app import compare
from totesys_cli.databases import Databases
from totesys_cli.dead_letters.app import dlq
from totesys_cli.doctor.app import doctor
from totesys_cli.durations import parse_period
from totesys_cli.errors import FAILED, WRONG_CALL, StageFailed
from totesys_cli.local.app import local
from totesys_cli.local.errors import LocalStackError
from totesys_cli.local.secrets import read_secrets
from totesys_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PLANE,
    AsJson,
    AsLines,
    Endpoint,
    ModelName,
    PlaneName,
    SourceDsn,
    SourceSchema,
    WarehouseDsn,
    WarehouseSchema,
)
from totesys_cli.quarantine.app import quarantine
from totesys_cli.rebuild.app import rebuild
from totesys_cli.replay.app import replay
from totesys_cli.report.app import report
from totesys_cli.status.app import runs, status
from totesys_cli.stop import run_until_stopped
from totesys_cli.trace.app import trace
from totesys_cli.trigger.app import trigger

app = typer.Typer(
    help="Keep a star-schema warehouse of a Postgres database.",
    epilog="Exit codes: 0 done; 1 a stage failed, a row differs or a check fails; 2 a call that cannot work; "
    "130 interrupted before its end.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
# How help groups the commands.
RUN, LOOK, MEND, WRITE = "Run it", "Look at it", "Wake and mend it", "Documents"
app.command("status", rich_help_panel=LOOK)(status)
app.command("runs", rich_help_panel=LOOK)(runs)
app.command("doctor", rich_help_panel=LOOK)(doctor)
app.command("compare", rich_help_panel=LOOK)(compare)
app.command("trace", rich_help_panel=LOOK)(trace)
app.add_typer(quarantine, name="quarantine", rich_help_panel=LOOK)
app.command("trigger", rich_help_panel=MEND)(trigger)
app.command("replay", rich_help_panel=MEND)(replay)
app.command("rebuild", rich_help_panel=MEND)(rebuild)
app.add_typer(dlq, name="dlq", rich_help_panel=MEND)
app.add_typer(local, name="local", rich_help_panel=RUN)
app.command("report", rich_help_panel=WRITE)(report)


def print_version(wanted: bool) -> None:
    """Print the version and end, if that is wanted."""
    if wanted:
        print(f"totesys {describe(VERSION, find_revision())}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="print version and commit, and exit"),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command(rich_help_panel=RUN)
def run(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    state: Annotated[Path | None, typer.Option(help="folder that keeps the lake between calls")] = None,
    every: Annotated[str, typer.Option(help="period between extractions: 30s, 5m, 1h")] = "5m",
    once: Annotated[bool, typer.Option("--once", help="one extraction, then end")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="with --once: find what was deleted, too")] = False,
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
    run_until_stopped(
        run_once(databases, options, console, sweep=sweep)
        if once
        else run_on_schedule(databases, options, period, console),
        has_end=once,
    )


@app.command(rich_help_panel=RUN)
def demo(
    once: Annotated[bool, typer.Option("--once", help="end after one verified round")] = False,
    seed: Annotated[int, typer.Option(help="seed of the generated data")] = 1,
    rate: Annotated[float, typer.Option(help="changed rows a second", min=0.1, max=100_000)] = 50.0,
    json: AsLines = False,
) -> None:
    """Run the whole system on this machine with generated data, live, verified; until Ctrl-C."""
    from totesys_cli.demo import run_demo

    run_until_stopped(run_demo(Console(), once=once, seed=seed, rate=rate, json=json), has_end=once)


@app.command(rich_help_panel=RUN)
def simulate(
    source: SourceDsn,
    rate: Annotated[float, typer.Option(help="changed rows a second", min=0.1, max=100_000)] = 20.0,
    seconds: Annotated[
        float | None, typer.Option(help="how long; for ever if not given", min=0, max=31_536_000)
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of what happens")] = 1,
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Write to the source as the company would: orders, payments, moves, long and rolled-back transactions."""
    from totesys_cli.simulate import run_simulation

    run_until_stopped(run_simulation(Console(), source, model, rate=rate, seconds=seconds, seed=seed, json=json))


@app.command(rich_help_panel=LOOK)
def verify(
    source: SourceDsn,
    warehouse: WarehouseDsn,
    json: AsJson = False,
    model: ModelName = DEFAULT_MODEL,
    source_schema: SourceSchema = "public",
    warehouse_schema: WarehouseSchema = "warehouse",
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 if any row is quarantined, too")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="have ingest bring again what is wrong")] = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    timeout: Annotated[str, typer.Option(help="how long a repair may take: 30s, 10m, 1h")] = "10m",
) -> None:
    """Compare every row and column of the source with the warehouse; exit 0 if all but quarantined rows are equal."""
    from totesys_cli.place import Place
    from totesys_cli.verify.command import Repair, run_verification

    databases = Databases(source, warehouse, model, source_schema, warehouse_schema)
    wanted = Repair(Place(name, endpoint), parse_period(timeout)) if repair else None
    if not asyncio.run(run_verification(Console(), databases, json=json, strict=strict, wanted=wanted)):
        raise typer.Exit(FAILED)


@app.command(rich_help_panel=WRITE)
def dictionary(
    model: ModelName = DEFAULT_MODEL,
    output: Annotated[Path | None, typer.Option(help="file to write; printed if not given")] = None,
) -> None:
    """What each table and column of the warehouse says, as Markdown: the data dictionary."""
    from totesys.schema import load_model
    from totesys_cli.dictionary import to_markdown

    _write(to_markdown(load_model(model)), output)


@app.command(rich_help_panel=WRITE)
def dbt(
    model: ModelName = DEFAULT_MODEL,
    output: Annotated[Path | None, typer.Option(help="file to write; printed if not given")] = None,
) -> None:
    """Write the warehouse as dbt sources with tests, and the report as dbt exposures."""
    from totesys.schema import load_model
    from totesys_cli.dbt import to_dbt
    from totesys_cli.report.ask import find_report

    _write(to_dbt(load_model(model), find_report(model)), output)


@app.command(rich_help_panel=WRITE)
def settings(
    output: Annotated[Path | None, typer.Option(help="file to write; printed if not given")] = None,
) -> None:
    """Every variable that services and command read, as Markdown."""
    from totesys_cli.settings.page import to_markdown

    _write(to_markdown(app), output)


def _write(page: str, output: Path | None) -> None:
    if output:
        output.write_text(page, encoding="utf-8")
    else:
        print(page, end="")


def main() -> None:
    """Run the command; an error is one sentence, without a traceback."""
    try:
        if folder := os.environ.get(SECRETS_DIR):
            os.environ.update(read_secrets(folder, os.environ))
        app()
    except StageFailed as error:
        _end(error, FAILED)
    except (TotesysError, LocalStackError) as error:
        _end(error, WRONG_CALL)


def _end(error: Exception, code: int) -> None:
    print(f"totesys: {error}", file=sys.stderr)
    sys.exit(code)

"""The commands that read the system's state: `status`, `runs`, `verify`, `compare`, `trace`, `doctor`, `report`, …"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from totesys_cli.command_errors import FAILED, UsageError
from totesys_cli.durations import parse_period
from totesys_cli.interruption import run_to_end, run_until_stopped
from totesys_cli.lakehouse.lakehouse_location import LakehouseLocation
from totesys_cli.model.model_panel import model_panel
from totesys_cli.options import (
    DEFAULT_MODEL,
    Databases,
    DataPlaneLocation,
    ModelName,
    OptionalOtherDsn,
    SourceAndTarget,
    Timeout,
    WarehouseDsn,
    WarehouseLocation,
    examples,
    grouped,
    require_option,
)
from totesys_cli.terminal import Output, write_document

PANEL = "Inspect"
inspect_panel = typer.Typer()
# Help shows it after the commands that operate.
documents_panel = typer.Typer()
quarantine = typer.Typer(help="Show the rows that could not become warehouse rows.", no_args_is_help=True)
inspect_panel.add_typer(quarantine, name="quarantine", rich_help_panel=PANEL)
documents_panel.add_typer(model_panel, name="model", rich_help_panel="Documents")

RunFilter = Annotated[int | None, typer.Option("--run", help="Only this run.", metavar="RUN", min=1)]


@inspect_panel.command(
    rich_help_panel=PANEL, epilog=examples("totesys status --watch --every 5s", "totesys status --check --json")
)
@grouped
def status(
    location: DataPlaneLocation,
    output: Output,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if something needs attention.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[str, typer.Option(help="With --watch: time between refreshes: 2s, 1m.")] = "2s",
) -> None:
    """Show freshness, the last run of each stage, queues, dead letters, quarantine and the last verification."""
    from totesys_cli.status.status_command import show_status, watch_status

    period = parse_period(every)
    if watch:
        run_until_stopped(watch_status(output, location, period))
        return
    problems = run_to_end(show_status(output, location)).problems
    if check and problems:
        output.note("\n".join(f"Needs attention: {problem}" for problem in problems))
        raise typer.Exit(FAILED)


@inspect_panel.command(rich_help_panel=PANEL, epilog=examples("totesys runs --limit 5", "totesys runs 42"))
@grouped
def runs(
    location: DataPlaneLocation,
    output: Output,
    run: Annotated[int | None, typer.Argument(help="One run, with its tables.", metavar="RUN", min=1)] = None,
    limit: Annotated[int, typer.Option("--limit", help="Number of runs, newest first.", metavar="N", min=1)] = 20,
) -> None:
    """Show what each stage did with each run, or with one run and its tables."""
    from totesys_cli.status.status_command import show_run, show_runs

    run_to_end(show_runs(output, location, limit) if run is None else show_run(output, location, run))


@inspect_panel.command(
    rich_help_panel=PANEL,
    epilog=examples("totesys verify --strict", "totesys verify --repair --endpoint http://127.0.0.1:41489"),
)
@grouped
def verify(
    target: SourceAndTarget,
    output: Output,
    location: DataPlaneLocation,
    tables: LakehouseLocation,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 also if a row is quarantined.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Have ingest extract wrong rows again.")] = False,
    timeout: Timeout = "10m",
    lakehouse: Annotated[bool, typer.Option("--lakehouse", help="Compare with the lakehouse instead.")] = False,
) -> None:
    """Compare every row and column of the source with the warehouse; exit with 1 if a row differs."""
    if lakehouse:
        from totesys_cli.lakehouse.lakehouse_checks import verify_lakehouse

        if repair:
            raise UsageError("--repair goes with the warehouse. Repair that one; the same runs reach the lakehouse.")
        source = target.source, target.source_schema, target.model
        if not run_to_end(verify_lakehouse(output, *source, tables, strict=strict)):
            raise typer.Exit(FAILED)
        return
    from totesys_cli.verify.verify_command import RepairOptions, run_verification

    options = RepairOptions(location, parse_period(timeout))
    wanted = run_verification(output, target.databases, strict=strict, repair=options if repair else None)
    if not run_to_end(wanted):
        raise typer.Exit(FAILED)


@inspect_panel.command(
    rich_help_panel=PANEL, epilog=examples("totesys compare --with postgresql://loader:…@host/rebuilt")
)
@grouped
def compare(
    warehouse: WarehouseLocation,
    tables: LakehouseLocation,
    output: Output,
    other: OptionalOtherDsn = None,
    lakehouse: Annotated[bool, typer.Option("--lakehouse", help="Compare with the lakehouse.")] = False,
) -> None:
    """Compare two warehouses of one lake by checksums, table by table and run by run; exit with 1 if they differ."""
    if lakehouse:
        from totesys_cli.lakehouse.lakehouse_checks import compare_lakehouse

        if not run_to_end(compare_lakehouse(output, warehouse, tables)):
            raise typer.Exit(FAILED)
        return
    from totesys_cli.warehouse_comparison import run_comparison

    if not run_to_end(run_comparison(output, warehouse, require_option(other, "--with"))):
        raise typer.Exit(FAILED)


@inspect_panel.command(
    rich_help_panel=PANEL,
    epilog=examples("totesys trace fact_order 17", "totesys trace fact_order 17 --version 230"),
)
@grouped
def trace(
    table: Annotated[str, typer.Argument(help="Warehouse table.")],
    key: Annotated[str, typer.Argument(metavar="ID", help="Id of the row.")],
    warehouse: WarehouseLocation,
    location: DataPlaneLocation,
    output: Output,
    version: Annotated[
        int | None, typer.Option("--version", help="Only this version id of a fact.", metavar="N", min=1)
    ] = None,
) -> None:
    """Show where a row came from: run, snapshot, transaction ids, times, objects, deletions, quarantine."""
    from totesys_cli.trace_command import run_trace

    run_to_end(run_trace(output, location, warehouse, table, key, version))


@inspect_panel.command(rich_help_panel=PANEL, epilog=examples("totesys doctor --quiet"))
@grouped
def doctor(
    context: typer.Context,
    databases: Databases,
    location: DataPlaneLocation,
    output: Output,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show only findings that are not ok.")] = False,
) -> None:
    """Check settings, databases, rights, clocks and the data plane; exit with 1 if a check fails."""
    from totesys_cli.doctor.doctor_command import run_doctor

    if not run_to_end(run_doctor(output, databases, location, context.find_root().command, quiet=quiet)):
        raise typer.Exit(FAILED)


@documents_panel.command(
    rich_help_panel="Documents", epilog=examples("totesys report --output report.html", "totesys report --json")
)
@grouped
def report(
    warehouse: WarehouseDsn,
    output: Output,
    file: Annotated[Path | None, typer.Option("--output", help="File to write. Default: standard output.")] = None,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Payments before it are overdue. Default: date of the newest run."),
    ] = None,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Write a page for business users: sales, purchases, payments, freshness and quality, each with its SQL."""
    from totesys_cli.report.report_command import run_report

    run_to_end(run_report(output, warehouse, model, day.date() if day else None, file))


@documents_panel.command(
    rich_help_panel="Documents", epilog=examples("totesys dbt --output models/totesys.yml", "totesys dbt --model shop")
)
def dbt(
    model: ModelName = DEFAULT_MODEL,
    file: Annotated[Path | None, typer.Option("--output", help="File to write. Default: standard output.")] = None,
) -> None:
    """Write the warehouse as dbt sources with tests, and the report as dbt exposures."""
    from totesys.schema import load_model
    from totesys_cli.dbt import to_dbt
    from totesys_cli.report.report_answers import find_report

    write_document(to_dbt(load_model(model), find_report(model)), file)


@quarantine.command("list", epilog=examples("totesys quarantine list --table fact_order"))
@grouped
def list_quarantine(
    location: DataPlaneLocation,
    output: Output,
    table: Annotated[str | None, typer.Option("--table", help="Only this warehouse table.")] = None,
    run: RunFilter = None,
    limit: Annotated[int, typer.Option("--limit", help="Number of lines, newest run first.", metavar="N", min=1)] = 100,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Count quarantined rows by run, warehouse table and reason."""
    from totesys_cli.quarantine_command import list_reasons
    from totesys_cli.quarantined_rows import QuarantineFilter

    run_to_end(list_reasons(output, location, model, QuarantineFilter(table, run), limit))


@quarantine.command("show", epilog=examples("totesys quarantine show fact_order --key 17"))
@grouped
def show_quarantine(
    location: DataPlaneLocation,
    output: Output,
    table: Annotated[str, typer.Argument(help="Warehouse table.")],
    run: RunFilter = None,
    key: Annotated[str | None, typer.Option("--key", help="Only the row with this key.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Number of rows, newest run first.", metavar="N", min=1)] = 20,
    model: ModelName = DEFAULT_MODEL,
) -> None:
    """Show quarantined rows with all source values, the reasons, the run and the object."""
    from totesys_cli.quarantine_command import show_rows
    from totesys_cli.quarantined_rows import QuarantineFilter

    run_to_end(show_rows(output, location, model, QuarantineFilter(table, run, key), limit))

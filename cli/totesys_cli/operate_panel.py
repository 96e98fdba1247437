"""The commands that change what the system does: `trigger`, `replay`, `rebuild`, `downgrade`, `dlq`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from totesys.stage_names import STAGES, Stage
from totesys_cli.durations import parse_period
from totesys_cli.interruption import run_to_end
from totesys_cli.lakehouse.lakehouse_panel import lakehouse
from totesys_cli.options import DataPlaneLocation, Timeout, WarehouseLocation, examples, grouped
from totesys_cli.terminal import Output

if TYPE_CHECKING:
    from totesys_cli.dead_letters.dlq_command import DeadLetterCall

PANEL = "Operate"
operate_panel = typer.Typer()
dlq = typer.Typer(help="List, show, redrive or purge messages that a service gave up.", no_args_is_help=True)
operate_panel.add_typer(dlq, name="dlq", rich_help_panel=PANEL)
operate_panel.add_typer(lakehouse, name="lakehouse", rich_help_panel=PANEL)

AnyStage = Annotated[Stage | None, typer.Argument(help="Service. Default: all three.")]
Limit = Annotated[int, typer.Option("--limit", help="Most messages per queue.", metavar="N", min=1)]
Ids = Annotated[
    list[str] | None, typer.Option("--id", metavar="ID", help="Only this message, by its ID or a prefix; repeatable.")
]
DEFAULT_LIMIT = 1000
# A run number has eight digits in a key.
LAST_RUN = 99_999_999


@operate_panel.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "totesys trigger ingest --wait",
        "totesys trigger ingest --mode repair --keys order=17,4 --wait",
        "totesys trigger load --verify --wait",
    ),
)
@grouped
def trigger(
    stage: Annotated[Stage, typer.Argument(help="Service.")],
    location: DataPlaneLocation,
    output: Output,
    mode: Annotated[
        Literal["changes", "full", "sweep", "repair"] | None,
        typer.Option(help="Ingest: changed rows (default); all rows; also deleted rows; also the rows in --keys."),
    ] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--keys", metavar="TABLE=KEY,KEY", help="With --mode repair; repeatable.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Load: compare the warehouse with the source.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for completion and print the result.")] = False,
    timeout: Timeout = "10m",
) -> None:
    """Trigger a stage: ingest extracts, transform and load process pending runs. `totesys replay` repeats runs."""
    from totesys_cli.trigger_command import run_trigger
    from totesys_cli.trigger_message import make_trigger

    message = make_trigger(stage, mode, keys or [], verify=verify)
    longest = parse_period(timeout)
    run_to_end(run_trigger(output, location, stage, message, longest if wait else None))


@operate_panel.command(
    rich_help_panel=PANEL,
    epilog=examples("totesys replay --from 12 --to 14", "totesys replay --from 12 --to 12 --from-stage load"),
)
@grouped
def replay(
    first: Annotated[int, typer.Option("--from", help="First run.", metavar="RUN", min=1, max=LAST_RUN)],
    last: Annotated[int, typer.Option("--to", help="Last run.", metavar="RUN", min=1, max=LAST_RUN)],
    location: DataPlaneLocation,
    output: Output,
    from_stage: Annotated[
        Literal["transform", "load"], typer.Option(help="Replay transform and load, or load alone.")
    ] = "transform",
    timeout: Timeout = "30m",
) -> None:
    """Have the services process runs again, replacing exactly what these runs wrote, and wait for completion."""
    from totesys_cli.replay_command import ReplayRange, run_replay

    run_to_end(run_replay(output, location, ReplayRange(first, last, from_stage, parse_period(timeout))))


@operate_panel.command(
    rich_help_panel=PANEL, epilog=examples("totesys rebuild --warehouse postgresql://loader:…@host/rebuilt")
)
@grouped
def rebuild(warehouse: WarehouseLocation, location: DataPlaneLocation, output: Output) -> None:
    """Load every run of the lake into an empty database. The lake is only read. Call again to continue."""
    from totesys_cli.rebuild_command import run_rebuild

    run_to_end(run_rebuild(output, location, warehouse))


@operate_panel.command(rich_help_panel=PANEL, epilog=examples("totesys downgrade --name totesys"))
@grouped
def downgrade(location: DataPlaneLocation, output: Output) -> None:
    """Prepare the lake for release 0.1.0, which refuses records with newer fields. Stop all services first.

    Later releases ignore fields that they do not know, so going back to one of them needs no downgrade.
    """
    from totesys_cli.downgrade_command import run_downgrade

    run_to_end(run_downgrade(output, location))


@dlq.command("list", epilog=examples("totesys dlq list", "totesys dlq list load --json"))
@grouped
def list_dead_letters(
    location: DataPlaneLocation, output: Output, stage: AnyStage = None, limit: Limit = DEFAULT_LIMIT
) -> None:
    """List dead letters with their reasons."""
    _call(output, location, stage, limit).list()


@dlq.command("show", epilog=examples("totesys dlq show transform 98d85e8c"))
@grouped
def show_dead_letter(
    stage: Annotated[Stage, typer.Argument(help="Service.")],
    message: Annotated[str, typer.Argument(metavar="ID", help="Message ID or prefix.")],
    location: DataPlaneLocation,
    output: Output,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Show one message with its whole body."""
    _call(output, location, stage, limit).show(message)


@dlq.command("redrive", epilog=examples("totesys dlq redrive", "totesys dlq redrive transform --id 98d85e8c"))
@grouped
def redrive_dead_letters(
    location: DataPlaneLocation,
    output: Output,
    stage: AnyStage = None,
    ids: Ids = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Return messages to their service, which processes them again."""
    _call(output, location, stage, limit).redrive(ids or [])


@dlq.command("purge", epilog=examples("totesys dlq purge load --id 98d85e8c --yes"))
@grouped
def purge_dead_letters(
    location: DataPlaneLocation,
    output: Output,
    stage: AnyStage = None,
    ids: Ids = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without confirmation.")] = False,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Delete messages after confirmation."""
    _call(output, location, stage, limit).purge(ids or [], yes=yes)


def _call(output: Output, location: DataPlaneLocation, stage: Stage | None, limit: int) -> "DeadLetterCall":
    from totesys_cli.dead_letters.dlq_command import DeadLetterCall

    return DeadLetterCall(output, location, STAGES if stage is None else [stage], limit)

"""`totesys dlq`: its commands and their options."""

from typing import Annotated

import typer
from rich.console import Console

from totesys.stage_names import STAGES, Stage
from totesys_cli.options import DEFAULT_PLANE, AsJson, Endpoint, PlaneName

dlq = typer.Typer(
    help="Look at the messages that a service gave up, send them back, or delete them.", no_args_is_help=True
)

AnyStage = Annotated[Stage | None, typer.Argument(help="the service; all three if not given")]
Limit = Annotated[int, typer.Option("--limit", help="how many messages to take of a queue", min=1)]
Ids = Annotated[list[str] | None, typer.Option("--id", help="only this message; may be given again")]
DEFAULT_LIMIT = 1000


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
    from totesys_cli.place import Place

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
    from totesys_cli.place import Place

    show_letter(Console(), Place(name, endpoint), stage, message, limit, json=json)


@dlq.command("redrive")
def redrive_dead_letters(
    stage: AnyStage = None,
    ids: Ids = None,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Send messages back to their service, which tries them again."""
    from totesys_cli.dead_letters.command import redrive
    from totesys_cli.place import Place

    redrive(Console(), Place(name, endpoint), _stages(stage), ids or [], limit, json=json)


@dlq.command("purge")
def purge_dead_letters(
    stage: AnyStage = None,
    ids: Ids = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    json: AsJson = False,
    name: PlaneName = DEFAULT_PLANE,
    endpoint: Endpoint = None,
    limit: Limit = DEFAULT_LIMIT,
) -> None:
    """Delete messages for good, after a question."""
    from totesys_cli.dead_letters.command import purge
    from totesys_cli.place import Place

    purge(Console(), Place(name, endpoint), _stages(stage), ids or [], limit, yes=yes, json=json)


def _stages(stage: Stage | None) -> list[str]:
    return list(STAGES) if stage is None else [stage]

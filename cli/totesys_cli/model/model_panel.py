"""The commands of `totesys model`: `draft` and `check`."""

from pathlib import Path
from typing import Annotated

import typer

from totesys_cli.command_errors import UsageError
from totesys_cli.interruption import run_to_end
from totesys_cli.options import SourceDsn, SourceSchema, examples, grouped
from totesys_cli.terminal import Output

model_panel = typer.Typer(help="Declare the tables of your own source.", no_args_is_help=True)


@model_panel.command("draft", epilog=examples("totesys model draft --output shop.py"))
@grouped
def draft_command(
    source: SourceDsn,
    output: Output,
    file: Annotated[Path | None, typer.Option("--output", help="File to write. Default: standard output.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model and its star. Default: name of the database.")
    ] = None,
    source_schema: SourceSchema = "public",
) -> None:
    """Write a module that declares the source's tables, with a TODO for each decision that is yours."""
    if file and file.exists():
        raise UsageError(f"{file} exists. Name another file, or remove it.")
    from totesys_cli.model.model_command import draft_model

    run_to_end(draft_model(output, source, source_schema, name, file))


@model_panel.command("check", epilog=examples("totesys model check shop"))
@grouped
def check_command(
    module: Annotated[str, typer.Argument(help="Module that declares the tables.", envvar="TOTESYS_MODEL")],
    source: SourceDsn,
    output: Output,
    source_schema: SourceSchema = "public",
) -> None:
    """Check a model against its source, without a lake. Exit with 1 if it does not fit."""
    from totesys_cli.model.model_command import run_check

    run_to_end(run_check(output, module, source, source_schema))

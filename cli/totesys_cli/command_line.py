"""The command `totesys`."""

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperOption

from totesys.errors import TotesysError
from totesys.version import VERSION, describe, find_revision
from totesys_cli.command_errors import FAILED, USAGE_ERROR, StageFailed, UsageError
from totesys_cli.config_file import FILE, default_map, find_config, read_profile
from totesys_cli.inspect_panel import documents_panel, inspect_panel
from totesys_cli.local.stack_secrets import read_secrets
from totesys_cli.operate_panel import operate_panel
from totesys_cli.options import examples
from totesys_cli.run_panel import run_panel

app = typer.Typer(
    help="Keep a star-schema warehouse of a Postgres database up to date.",
    epilog=examples(
        "totesys demo --once",
        "totesys run --source postgresql://reader:…@host/shop --warehouse postgresql://loader:…@host/warehouse --once",
        "totesys --profile shop status --check",
    )
    + "\n\nExit codes: 0 success; 1 a stage failed, a row differs or a check failed; 2 usage error; 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_display_type = TyperOption.display_type_rich
# Typer has no setting for it: a flag takes no value, so help shows no type.
TyperOption.display_type_rich = lambda self, ctx: None if self.is_bool_flag else _display_type(self, ctx)  # type: ignore[method-assign]
for panel in (run_panel, inspect_panel, operate_panel, documents_panel):
    app.add_typer(panel)


def print_version(wanted: bool) -> None:
    """Print the version and exit, if `wanted`."""
    if wanted:
        print(f"totesys {describe(VERSION, find_revision())}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="TOTESYS_CONFIG",
            metavar="FILE",
            help="File with profiles. Default: totesys.toml in this folder or above it.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            envvar="TOTESYS_PROFILE", metavar="NAME", help="Profile of that file. Default: the file's own default."
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print version and commit, and exit."),
    ] = False,
) -> None:
    """Take the options before a command, and the defaults of the others from the profile."""
    # Help has to come even if the file is wrong.
    if {"-h", "--help"} & {*sys.argv} or context.resilient_parsing:
        return
    file = config or find_config(Path.cwd())
    if file:
        context.default_map = default_map(context.command, read_profile(file, profile))
    elif profile:
        raise UsageError(f"Profile {profile!r} needs a {FILE} here or above. Write it, or name one with --config.")


def main() -> None:
    """Run the command. Every error is printed without a traceback."""
    # The module of a model may be in the current folder, as it may for `python -m`, by which the services start.
    sys.path.append(str(Path.cwd()))
    try:
        _require_text(sys.argv)
        if folder := os.environ.get("TOTESYS_SECRETS_DIR"):
            os.environ.update(read_secrets(folder, os.environ))
        app()
    except StageFailed as error:
        _exit(str(error), FAILED)
    except TotesysError as error:
        _exit(str(error), USAGE_ERROR)
    except Exception as error:  # noqa: BLE001 - the traceback goes to a file
        _exit(_unexpected(error), FAILED)


def _require_text(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"The argument {argument!r} is not UTF-8. Correct it.") from None


def _unexpected(error: Exception) -> str:
    with tempfile.NamedTemporaryFile(
        "w", prefix="totesys-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return f"Unexpected {type(error).__name__}. Report this defect with {file.name}, which has the traceback."


def _exit(text: str, code: int) -> None:
    print(f"totesys: {text}", file=sys.stderr)
    sys.exit(code)

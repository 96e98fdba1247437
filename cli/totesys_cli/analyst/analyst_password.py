"""The password of a new role: from a file, the environment or a prompt, never from the command line."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from totesys_cli.command_errors import UsageError

VARIABLE = "TOTESYS_ANALYST_PASSWORD"


def read_password(name: str, file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The password for the role `name`. Raises UsageError if there is none, or it is not printable."""
    if file is not None:
        return _usable(_content(file), str(file))
    if VARIABLE in environment:
        return _usable(environment[VARIABLE], VARIABLE)
    if not sys.stdin.isatty():
        raise UsageError(f"{name} needs a password. Set {VARIABLE}, pass --password-file, or call this in a terminal.")
    return _usable(
        typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True), "The prompt"
    )


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The password file {file} cannot be read: {error}. Name another file.") from error


def _usable(password: str, origin: str) -> str:
    if not password or not password.replace("\N{NO-BREAK SPACE}", " ").isprintable():
        raise UsageError(f"{origin} has no password of one line of printable characters. Correct it.")
    return password

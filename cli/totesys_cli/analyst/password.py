"""The password of a new role: from a file, the environment or a prompt, never from the command line."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from totesys_cli.errors import BadInput

VARIABLE = "TOTESYS_ANALYST_PASSWORD"


def read_password(name: str, file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The password for the role `name`. Raises BadInput if there is none, or none that can be typed."""
    if file is not None:
        return _usable(_content(file), str(file))
    if VARIABLE in environment:
        return _usable(environment[VARIABLE], VARIABLE)
    if not sys.stdin.isatty():
        raise BadInput(f"No password for {name}: set {VARIABLE}, pass --password-file, or run this in a terminal.")
    return _usable(
        typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True), "The prompt"
    )


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The password file {file} can't be read: {error}. Name another file.") from error


def _usable(password: str, origin: str) -> str:
    if not password or not password.replace("\N{NO-BREAK SPACE}", " ").isprintable():
        raise BadInput(f"{origin} must hold a password in one line of printable characters.")
    return password

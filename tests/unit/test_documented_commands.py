"""The pages name only commands and options that there are, and docs/commands.md names every command."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from totesys_cli.command_line import app

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
# In a line of its own, after a prompt or an assignment, or in backticks within a sentence.
CALL = re.compile(r"(?:^\$ |^|`|; do )(?:docker compose run --rm )?totesys (?P<words>[a-z][^`\n;|#→]*)", re.MULTILINE)
OPTION = re.compile(r"--[a-z][a-z-]*")
# What is shown to be answered with the word that was meant.
MISSPELT = "verfy"

root: Any = typer.main.get_command(app)


def calls(page: Path) -> list[str]:
    """What follows `totesys` in each call that a page shows."""
    return [found["words"] for found in CALL.finditer(page.read_text())]


def command_of(words: list[str]) -> Any:
    """The command that these words call. Raises KeyError."""
    command = root
    for word in words:
        if not hasattr(command, "commands"):
            break
        command = command.commands[word]
    return command


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_commands_and_options_that_there_are(page: Path) -> None:
    for call in calls(page):
        words = re.match(r"[a-z -]*?(?= -|$|[^a-z -])", call)
        assert words is not None
        names = words[0].split()
        if names[0] == MISSPELT:
            continue
        unknown = set(OPTION.findall(call)) - options_of(command_of(names))
        assert not unknown, f"totesys {call}"


def test_the_page_of_commands_names_each() -> None:
    named = {call.split()[0] for call in calls(PROJECT / "docs" / "commands.md")}
    assert root.commands.keys() <= named

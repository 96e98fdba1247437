"""The help of every command is complete on a narrow terminal, its examples are valid calls, and it comes quickly."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from totesys_cli.command_line import app

HEAVY = {"aiobotocore", "asyncpg", "boto3", "botocore", "httpx", "matplotlib", "polars", "pyarrow"}
SETTINGS = {
    "TOTESYS_SOURCE_DSN": "postgresql://h/s",
    "TOTESYS_WAREHOUSE_DSN": "postgresql://h/w",
    "TOTESYS_READER_PASSWORD": "r",
    "TOTESYS_LOADER_PASSWORD": "l",
}

root: Any = typer.main.get_command(app)


def commands(group: Any = root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())
EVERY = pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)


def printed(*words: str) -> str:
    """What a call prints on a terminal of 80 columns."""
    ended = CliRunner().invoke(app, [*words], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert ended.exit_code == 0, ended.output
    assert max(map(len, ended.output.splitlines())) <= 80
    return ended.output


@EVERY
def test_the_help_of_a_command_names_each_option_with_its_variable(words: tuple[str, ...]) -> None:
    text = printed(*words, "-h")
    for parameter in COMMANDS[words].params:
        assert parameter.envvar is None or parameter.envvar in text
        assert parameter.param_type_name == "argument" or all(option in text for option in parameter.opts)
        assert parameter.help, parameter.name
    assert "<bool>" not in text
    assert printed(*words, "--help") == text


@EVERY
def test_the_examples_of_a_command_are_calls_of_it(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    command = COMMANDS[words]
    heading, *calls = command.epilog.split("\n\n")
    assert heading == "Examples:"
    assert calls
    for call in calls:
        program, *arguments = shlex.split(call)
        assert (program, *arguments[: len(words)]) == ("totesys", *words)
        command.make_context(words[-1], arguments[len(words) :])


def test_the_commands_are_grouped() -> None:
    panels = re.findall(r"^╭─ (\w+) ─", printed("-h"), re.MULTILINE)
    assert panels == ["Options", "Run", "Inspect", "Operate", "Documents"]
    assert "<bool>" not in printed("-h")


def test_nothing_large_is_imported_for_help() -> None:
    calls = [["--version"], ["-h"], *([*words, "-h"] for words in COMMANDS)]
    code = f"""
import sys
from totesys_cli.command_line import app
for call in {calls!r}:
    try:
        app(call)
    except SystemExit:
        print(call, *({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines() == [str(call) for call in calls]

"""A call of any command with an unknown option, a missing value or an extra argument is a usage error."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.test_command_help import COMMANDS, SETTINGS
from totesys_cli.command_errors import USAGE_ERROR
from totesys_cli.command_line import app

EXTRA = ("x",) * 8


def wrong_calls() -> Iterator[Any]:
    """Every command with each wrong input of its form."""
    for words, command in COMMANDS.items():
        calls = {"unknown option": ("--nope",), "extra arguments": EXTRA}
        for parameter in command.params:
            if parameter.param_type_name == "option":
                option = parameter.opts[0]
                flag = parameter.is_flag
                calls[f"{option} {'with' if flag else 'without'} value"] = (f"{option}=x",) if flag else (option,)
            elif parameter.required:
                calls["missing arguments"] = ()
        yield from (pytest.param((*words, *call), id=f"{' '.join(words)}: {what}") for what, call in calls.items())


@pytest.mark.parametrize("call", list(wrong_calls()))
def test_a_call_of_a_wrong_form_is_a_usage_error(call: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(app, call, env={"COLUMNS": "200"})
    assert ended.exit_code == USAGE_ERROR, ended.output
    assert isinstance(ended.exception, SystemExit)
    assert "Traceback" not in ended.output
    assert "Error" in ended.output

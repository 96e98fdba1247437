"""`totesys.toml` gives the options that nobody has to type; the environment and options override it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.test_command_help import COMMANDS, root
from totesys_cli.command_errors import UsageError
from totesys_cli.command_line import app
from totesys_cli.config_file import KEYS, default_map, find_config, read_profile

TWO = """
profile = "local"
[profiles.local]
warehouse = "postgresql://h/local"
endpoint = "http://127.0.0.1:1"
[profiles.shop]
name = "shop"
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes totesys.toml above the current folder."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    def put(text: str) -> Path:
        (tmp_path / "totesys.toml").write_text(text, encoding="utf-8")
        return tmp_path / "totesys.toml"

    return put


def test_the_nearest_file_upwards_is_read(write: Write, tmp_path: Path) -> None:
    file = write(TWO)
    assert find_config(Path.cwd()) == file
    nearer = tmp_path / "below" / "totesys.toml"
    nearer.touch()
    assert find_config(Path.cwd()) == nearer


def test_a_profile_is_the_named_one_the_default_or_the_only_one(write: Write) -> None:
    assert read_profile(write(TWO), None) == {"warehouse": "postgresql://h/local", "endpoint": "http://127.0.0.1:1"}
    assert read_profile(write(TWO), "shop") == {"name": "shop"}
    assert read_profile(write('[profiles.only]\nname = "x"'), None) == {"name": "x"}
    assert read_profile(write('[profiles.a]\nname = "a"\n[profiles.b]\nname = "b"'), None) == {}
    assert read_profile(write(""), None) == {}


WRONG = {
    "profile = ": "is not valid TOML",
    "x = 1": "'x' is unknown. Use profile, profiles.",
    "profiles = 1": "has no profiles as they have to be",
    "profile = 1": "has no profiles as they have to be",
    'profile = "nope"\n[profiles.a]\n[profiles.b]': "has no profile 'nope'; it has a, b",
    "[profiles]\na = 1": "has no profile 'a'",
    "[profiles.a]\nname = 1": "name of profile a is not a text",
    '[profiles.a]\nwharehouse = "x"': "'wharehouse' of profile a is unknown. Use source, warehouse,",
    '[profiles.a]\npassword = "s3cr"': "'password' of profile a is unknown",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused_in_a_sentence(text: str, write: Write) -> None:
    with pytest.raises(UsageError, match="totesys") as refused:
        read_profile(write(text), None)
    assert WRONG[text] in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cr" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(write: Write, tmp_path: Path) -> None:
    file = write("")
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_profile(file, None)
    for path in (tmp_path, tmp_path / "nope"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_profile(path, None)


def test_every_key_is_an_option_of_a_command_and_reaches_it() -> None:
    found = default_map(root, {key: f"value of {key}" for key in KEYS})
    reached = set()
    for words, command in COMMANDS.items():
        defaults: Any = found
        for word in words:
            defaults = defaults[word]
        for parameter in command.params:
            option = parameter.opts[0].removeprefix("--")
            assert defaults.get(parameter.name) == (f"value of {option}" if option in KEYS else None), words
            reached |= {option} & {*KEYS}
    assert reached == {*KEYS}


def called(*words: str, **environment: str) -> str:
    """The error of a call."""
    ended = CliRunner().invoke(app, [*words], env=environment)
    return str(ended.exception)


def test_the_environment_overrides_the_file_and_an_option_overrides_both(write: Write) -> None:
    write('[profiles.a]\nname = "Of the file"')
    assert "'Of the file' is not a valid name" in called("status")
    assert "'Of the environment'" in called("status", TOTESYS_NAME="Of the environment")
    assert "'Of the option'" in called("status", "--name", "Of the option", TOTESYS_NAME="Of the environment")
    write('[profiles.a]\nendpoint = "of the file"')
    assert "'of the file' is not a URL" in called("status")
    assert "'of the environment'" in called("status", TOTESYS_ENDPOINT="of the environment")
    assert "of the file" not in called("status", "--name", "X", AWS_ENDPOINT_URL="http://127.0.0.1:1")


def test_a_file_and_a_profile_can_be_named(write: Write, tmp_path: Path) -> None:
    write(TWO)
    other = tmp_path / "other.toml"
    other.write_text('[profiles.b]\nname = "Of the other"')
    assert "'Of the other'" in called("--config", str(other), "status")
    assert "'Of the other'" in called("status", TOTESYS_CONFIG=str(other), TOTESYS_PROFILE="b")
    assert "no profile 'nope'" in called("--profile", "nope", "status")
    (tmp_path / "totesys.toml").unlink()
    assert "needs a totesys.toml" in called("--profile", "nope", "status")


def test_help_comes_whatever_the_file_has(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("profile = ")
    monkeypatch.setattr("sys.argv", ["totesys", "status", "-h"])
    assert CliRunner().invoke(app, ["status", "-h"]).exit_code == 0

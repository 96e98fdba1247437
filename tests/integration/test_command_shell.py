"""What a shell and a hurried hand need of the command: completion, and what was meant by a misspelt word."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Command
from totesys.version import VERSION, describe, find_revision

BASH = shutil.which("bash")
# As bash does when TAB is pressed after these words.
PRESS_TAB = """eval "$(_TOTESYS_COMPLETE=source_bash totesys)"
COMP_WORDS=({words}) COMP_CWORD={number}
_totesys_completion totesys
echo "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def totesys(tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        yield command


@pytest.mark.parametrize(
    ("words", "completed"),
    [("totesys ver", {"verify"}), ("totesys dlq re", {"redrive"}), ("totesys doctor --quie", {"--quiet"})],
)
def test_bash_completes_commands_and_options(words: str, completed: set[str]) -> None:
    assert BASH is not None
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    script = PRESS_TAB.format(words=words, number=words.count(" "))
    ended = subprocess.run([BASH, "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert set(ended.stdout.split()) == completed, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(("verfy",), "'verify'"), (("dlq", "redrve"), "'redrive'"), (("status", "--wach"), "--watch")],
    ids=" ".join,
)
def test_a_misspelt_word_is_answered_with_the_one_that_is_meant(
    arguments: tuple[str, ...], meant: str, totesys: Command
) -> None:
    ended = totesys(*arguments)
    assert (ended.code, ended.out, meant in ended.words) == (2, "", True), ended.words


def test_the_version_is_printed_with_the_commit(totesys: Command) -> None:
    ended = totesys("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"totesys {describe(VERSION, find_revision(environment={}))}\n"

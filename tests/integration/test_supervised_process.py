"""A guarded process ends with its parent, however that ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from totesys_cli.local.supervised_process import SupervisedProcess

SLEEP = "import time; time.sleep(600)"


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)]


def processes_with(text: str) -> list[int]:
    """The processes whose command line holds `text`, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text in (entry / "cmdline").read_text(errors="replace"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A text for a command line, by which a test finds the processes that it started."""
    text = f"mark-of-{tmp_path}"
    yield text
    for pid in processes_with(text):
        os.kill(pid, signal.SIGKILL)


def test_the_output_and_the_code_are_the_commands() -> None:
    process = SupervisedProcess.start(python("print('hello'); raise SystemExit(7)"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read() == b"hello\n"
    assert process.stop() == 7
    assert process.returncode == 7


def test_the_commands_run_in_order_until_one_fails(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with SupervisedProcess.start(["touch", str(made)], ["false"], ["rm", str(made)]) as process:
        assert process.wait(10) == 1
    assert made.exists()


def test_a_command_that_is_not_there_is_127(tmp_path: Path) -> None:
    with SupervisedProcess.start([str(tmp_path / "nothing")], stderr=subprocess.DEVNULL) as process:
        assert process.wait(10) == 127


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_stop_sends_the_signal_and_waits(name: str, tmp_path: Path) -> None:
    ready, folder = tmp_path / "ready", tmp_path / "folder"
    folder.mkdir()
    code = f"""
        import pathlib, signal, sys, time
        signal.signal(signal.SIG{name}, lambda *_: sys.exit(3))
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(600)
    """
    process = SupervisedProcess.start(python(code), signal="INT" if name == "INT" else "TERM", remove=[folder])
    eventually(ready.exists)
    assert folder.exists()
    assert process.stop() == 3
    assert not folder.exists()


def test_after_the_grace_the_whole_group_is_killed(tmp_path: Path, mark: str) -> None:
    ready = tmp_path / "ready"
    code = f"""
        import pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", {SLEEP!r}, {mark!r}])
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(600)
    """
    process = SupervisedProcess.start(python(code), grace=0.2)
    eventually(ready.exists)
    assert process.stop() == 128 + signal.SIGKILL
    eventually(lambda: not processes_with(mark))


def test_a_guard_that_is_ended_ends_its_command(mark: str) -> None:
    with SupervisedProcess.start([*python(SLEEP), mark]) as process:
        eventually(lambda: len(processes_with(mark)) == 2)
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.1)
        assert process.returncode is None
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    assert not processes_with(mark)


# How a parent may end: what it does once its child runs, and the signal that it gets then.
ENDS = {
    "normal exit": ("sys.exit(0)", None),
    "exception": ("raise RuntimeError", None),
    "os._exit": ("os._exit(1)", None),
    "SIGTERM": ("time.sleep(600)", signal.SIGTERM),
    "Ctrl-C": ("time.sleep(600)", signal.SIGINT),
    "kill -9": ("time.sleep(600)", signal.SIGKILL),
}


def parent_of(command: list[str], folder: Path, then: str) -> "subprocess.Popen[bytes]":
    code = f"""
        import os, sys, time
        from pathlib import Path
        from totesys_cli.local.supervised_process import SupervisedProcess
        process = SupervisedProcess.start({command!r}, remove=[Path({str(folder)!r})])
        print("started", flush=True)
        {then}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("end", ENDS)
def test_the_command_ends_with_its_parent(end: str, tmp_path: Path, mark: str) -> None:
    then, number = ENDS[end]
    folder = tmp_path / "folder"
    folder.mkdir()
    with parent_of([*python(SLEEP), mark], folder, then) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        if number is not None:
            # The guard's command line holds the mark too, and its child's comes a little later.
            eventually(lambda: len(processes_with(mark)) == 3)
            os.killpg(parent.pid, number)
        parent.wait(10)
    eventually(lambda: not processes_with(mark))
    assert not folder.exists()


@pytest.mark.long
def test_there_is_no_moment_at_which_a_killed_parent_leaves_its_command(tmp_path: Path, mark: str) -> None:
    for attempt in range(12):
        folder = tmp_path / f"folder-{attempt}"
        folder.mkdir()
        with parent_of([*python(SLEEP), mark], folder, "time.sleep(600)") as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"started\n"
            time.sleep(attempt * 0.004)
            os.killpg(parent.pid, signal.SIGKILL)
        eventually(lambda: not processes_with(mark))
        assert not folder.exists()

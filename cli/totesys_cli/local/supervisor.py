"""Runs commands so that none outlives the process that started them.

    python -I -S supervisor.py [--signal INT|TERM] [--grace SECONDS] [--user NAME] [--remove DIR ...] COMMAND ...

Each COMMAND is a JSON array of arguments. They run one after another, each as a child in a session of its own, until
one fails. Only the parent holds the other end of the supervisor's standard input, a pipe. A byte from it, or SIGTERM,
requests the stop: the child gets SIGNAL and has the grace to end. Then the supervisor removes the folders and exits
with the child's code (128 + n where signal n ended it). End of file means that the parent is gone: the child then has
at most a second, because nobody waits for its work.

Standard library only, with few imports: every process of the stack has a supervisor.
"""

import argparse
import contextlib
import json
import os
import pwd
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

_CAN_NOT_START = 127
_SIGNALLED = 128
_REMOVE_SECONDS = 5.0
_ABANDONED_GRACE = 1.0


class _Watch:
    """Waits for the parent's end, a SIGTERM or the child's end."""

    def __init__(self) -> None:
        self.stopping = False
        self.abandoned = False
        self._woken, write_end = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: a child would inherit an ignored signal; it does not inherit a handler.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._wake)
        signal.signal(signal.SIGTERM, self._stop)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def _wake(self, _number: int, _frame: FrameType | None) -> None:
        pass

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def until(self, child: "subprocess.Popen[bytes]", deadline: float | None) -> bool:
        """Wait for the child's end (True), or for the stop request or the deadline (False).

        Without a deadline a stop request ends the wait; with one only the child or the clock does.
        """
        while child.poll() is None:
            if deadline is None and self.stopping:
                return False
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._wait([self._woken] if self.stopping else [self._woken, 0], left)
        return True

    def stop_requested(self) -> bool:
        """Whether the stop was requested, without waiting."""
        self._wait([0], 0)
        return self.stopping

    def _wait(self, sources: list[int], seconds: float | None) -> None:
        ready = select.select(sources, [], [], seconds)[0]
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        if 0 in ready:
            self.stopping = True
            self.abandoned = not os.read(0, 1)


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _run(command: Sequence[str], watch: _Watch, options: argparse.Namespace) -> int:
    account = None if options.user is None else pwd.getpwnam(options.user)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
    except OSError as error:
        print(f"{command[0]} cannot be started: {error}", file=sys.stderr)
        return _CAN_NOT_START
    if not watch.until(child, None):
        child.send_signal(getattr(signal, f"SIG{options.signal}"))
        grace = min(options.grace, _ABANDONED_GRACE) if watch.abandoned else options.grace
        watch.until(child, time.monotonic() + grace)
    _kill_group(child)
    code: int = child.wait()
    return code if code >= 0 else _SIGNALLED - code


def _remove(folder: str) -> None:
    # Processes of the child may still write while they end.
    import shutil

    deadline = time.monotonic() + _REMOVE_SECONDS
    while os.path.lexists(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)


def main(arguments: Sequence[str]) -> int:
    """Run the commands in `arguments`; the exit code of the last one that ran."""
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("--signal", choices=["INT", "TERM"], default="TERM")
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--user")
    parser.add_argument("--remove", action="append", default=[])
    parser.add_argument("commands", nargs="+", type=json.loads)
    options = parser.parse_args(arguments)
    watch = _Watch()
    code = 0
    try:
        for command in options.commands:
            if code != 0 or watch.stop_requested():
                break
            code = _run(command, watch, options)
    finally:
        for folder in options.remove:
            _remove(folder)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A process that can't outlive this one."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, Self

from totesys_cli.local import guard
from totesys_cli.local.errors import LocalStackError

Output = int | IO[bytes] | None

# What the guard may need beyond the child's grace: a kill, and the removal of folders.
_MARGIN_SECONDS = 10.0


class Guarded:
    """A command that runs under a guard, which stops it however this process ends."""

    def __init__(self, guard_process: subprocess.Popen[bytes], name: str, grace: float) -> None:
        self._guard = guard_process
        self._name = name
        self._grace = grace

    @classmethod
    def start(
        cls,
        *commands: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: Output = None,
        stderr: Output = None,
        signal: Literal["INT", "TERM"] = "TERM",
        grace: float = 5.0,
        user: str | None = None,
        cwd: Path | None = None,
        remove: Sequence[Path] = (),
        keep_open: Sequence[int] = (),
    ) -> Self:
        """Start a command, or several one after another, each only if the one before ended with 0.

        To stop it the guard sends `signal`, and after `grace` seconds SIGKILL to its process group; then it
        removes the folders `remove`. `user` is the name of the account that the commands run as. The guard,
        not the command, keeps the file descriptors `keep_open` until it ends: a lock held that way is
        released only when the command is gone. A command that can't be started ends with the code 127.
        """
        options = ["--signal", signal, "--grace", str(grace)]
        if user is not None:
            options += ["--user", user]
        for folder in remove:
            options += ["--remove", str(folder)]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *options, *(json.dumps(list(c)) for c in commands)],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep_open),
            # A signal to this process's group, even SIGKILL, must not reach the guard.
            start_new_session=True,
        )
        return cls(process, Path(commands[-1][0]).name, grace)

    @property
    def pid(self) -> int:
        """The guard's process id; the guard ends only after its command."""
        return self._guard.pid

    @property
    def stdout(self) -> IO[bytes] | None:
        """The command's standard output, where it was started with `stdout=subprocess.PIPE`."""
        return self._guard.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        """The command's standard error, where it was started with `stderr=subprocess.PIPE`."""
        return self._guard.stderr

    @property
    def returncode(self) -> int | None:
        """The command's exit code, 128 + n where signal n ended it; None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """The command's exit code, or None while it runs."""
        return self._guard.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the command to end by itself; its exit code.

        Raises `subprocess.TimeoutExpired` after `timeout` seconds.
        """
        return self._guard.wait(timeout)

    def request_stop(self) -> None:
        """Order the stop, and don't wait for it."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.write(b"\n")
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()

    def stop(self, timeout: float | None = None) -> int:
        """Stop the command and wait until it is gone; its exit code.

        Raises `LocalStackError` if that takes more than `timeout` seconds (default: the grace and 10 s).
        """
        self.request_stop()
        seconds = self._grace + _MARGIN_SECONDS if timeout is None else timeout
        try:
            return self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LocalStackError(
                f"{self._name} (guard process {self.pid}) has not ended {seconds:g} s after it was told to:"
                " end it by hand."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

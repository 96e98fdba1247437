"""A process that cannot outlive this one."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, Self

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local import supervisor

Stream = int | IO[bytes] | None

# Time for the supervisor beside the child's grace: a kill, and the removal of folders.
_MARGIN_SECONDS = 10.0
_START_SECONDS = 60.0
_POLL_SECONDS = 0.01


class SupervisedProcess:
    """A command that runs under a supervisor, which stops it however this process ends."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, grace: float) -> None:
        self._process = process
        self._name = name
        self._grace = grace
        # The supervisor ends only after its command.
        self.pid = process.pid
        # The command's output, where it was started with `subprocess.PIPE`.
        self.stdout, self.stderr = process.stdout, process.stderr

    @classmethod
    def start(
        cls,
        *commands: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: Stream = None,
        stderr: Stream = None,
        signal: Literal["INT", "TERM"] = "TERM",
        grace: float = 5.0,
        user: str | None = None,
        cwd: Path | None = None,
        remove: Sequence[Path] = (),
        keep_open: Sequence[int] = (),
    ) -> Self:
        """Start a command, or several one after another, each only if the one before exited with 0.

        To stop it the supervisor sends `signal`, and after `grace` seconds SIGKILL to its process group; then it
        removes the folders `remove`. `user` is the account that runs the commands. The supervisor, not the command,
        keeps the file descriptors `keep_open`: a lock held that way is released only when the command has ended. A
        command that cannot be started exits with 127.
        """
        options = ["--signal", signal, "--grace", str(grace)]
        options += [] if user is None else ["--user", user]
        options += [part for folder in remove for part in ("--remove", str(folder))]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, *options, *(json.dumps(list(c)) for c in commands)],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep_open),
            # A signal to this process's group, even SIGKILL, must not reach the supervisor.
            start_new_session=True,
        )
        return cls(process, Path(commands[-1][0]).name, grace)

    @property
    def returncode(self) -> int | None:
        """The command's exit code, 128 + n where signal n ended it; None while it runs."""
        return self._process.poll()

    def wait_until_ready(self, is_ready: Callable[[], bool], server: str, log: IO[bytes]) -> None:
        """Wait until `is_ready`, else stop.

        Raises LocalStackError with the end of `log` if `server` exits, or takes more than a minute.
        """
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not is_ready():
                if self.returncode is not None:
                    raise LocalStackError(f"{server} exited with {self.returncode} while it started.", log=log)
                if time.monotonic() > deadline:
                    raise LocalStackError(f"{server} was not ready after {_START_SECONDS:g} s. Try again.", log=log)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            self.stop()
            raise

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the command ends by itself; its exit code. Raises subprocess.TimeoutExpired after `timeout` s."""
        return self._process.wait(timeout)

    def request_stop(self) -> None:
        """Request the stop without waiting for it."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(b"\n")
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def stop(self, timeout: float | None = None) -> int:
        """Stop the command and wait until it has ended; its exit code.

        Raises LocalStackError if that takes more than `timeout` seconds (default: the grace and 10 s).
        """
        self.request_stop()
        seconds = self._grace + _MARGIN_SECONDS if timeout is None else timeout
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LocalStackError(
                f"{self._name} (supervisor process {self.pid}) is still running {seconds:g} s after it was asked to "
                "stop. End it by hand."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

"""Imports the service_processes and the command once, and forks a process for each start that a launcher asks for.

Run as `python server.py DESCRIPTOR`, of a socket that listens. When its standard input ends, it ends, and so does every
process that it forked.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "totesys",
    "totesys_console",
    "totesys_simulation",
    "totesys_ingest",
    "totesys_transform",
    "totesys_load",
    "totesys_lakehouse",
    "totesys_cli",
    "tests.models",
)
MODULES = ("tests.faults.audited",)
_PR_SET_PDEATHSIG = 1
_FILES = 3


class Server:
    """Forks and reaps. `running` has the connection to the launcher of each forked process, by its id."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.running: dict[int, socket.socket] = {}
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())

    def serve(self) -> dict[str, Any] | None:
        """Serve until standard input ends (None); in each forked process, returns what it is to run."""
        while True:
            readable, _, _ = select.select([sys.stdin, self._listener, self._woken, *self.running.values()], [], [])
            if sys.stdin in readable:
                return None
            if self._woken in readable:
                self._woken.recv(4096)
                self._reap()
            for pid, launcher in list(self.running.items()):
                # A launcher has nothing more to say: it is readable because it was killed.
                if launcher in readable and launcher.fileno() >= 0:
                    os.kill(pid, signal.SIGKILL)
                    self._forget(pid)
            if self._listener in readable and (request := self._fork()):
                return request

    def _fork(self) -> dict[str, Any] | None:
        launcher, _ = self._listener.accept()
        try:
            head, files, _, _ = socket.recv_fds(launcher, 4, _FILES)
            request: dict[str, Any] = json.loads(_exactly(launcher, int.from_bytes(head, "big")))
        except (OSError, ValueError):
            launcher.close()
            return None
        server = os.getpid()
        if pid := os.fork():
            for file in files:
                os.close(file)
            self.running[pid] = launcher
            launcher.sendall(pid.to_bytes(4, "big"))
            return None
        launcher.close()
        self._become_a_process(server, files)
        return request

    def _become_a_process(self, server: int, files: list[int]) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (self._listener, self._woken, self._wake, *self.running.values()):
            other.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if launcher := self.running.get(pid):
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError):
                    launcher.sendall(code.to_bytes(4, "big", signed=True))
                self._forget(pid)

    def _forget(self, pid: int) -> None:
        self.running.pop(pid).close()


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ValueError("The launcher ended before it had said what to run.")
        data += more
    return data


def _preload() -> None:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in MODULES:
        importlib.import_module(name)


def _run(request: dict[str, Any]) -> None:
    """Do what Python does at its start, then run the program."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    tempfile.tempdir = None
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), "utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")), "utf-8", write_through=unbuffered)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w")), "utf-8", "backslashreplace", line_buffering=True
    )
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = request["argv"]
    program = sys.argv[0]
    if program == "totesys":
        from tests import preloaded
        from totesys_cli import command_line, service_processes

        # The service_processes that the command starts are forked as well.
        service_processes.service_command = preloaded.service_command
        command_line.main()
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def _end(code: int) -> None:
    """Do what Python does at its end, but do not free the imported modules."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def command_line() -> None:
    # Python puts this folder there; programs expect the one that holds `tests`.
    sys.path[0] = str(ROOT)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        _preload()
        # The collector leaves frozen objects alone, so their pages stay shared with the forked processes.
        gc.collect()
        gc.freeze()
        request = Server(listener).serve()
    if request is None:
        return
    try:
        _run(request)
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
        _end(end.code if isinstance(end.code, int) else int(end.code is not None))
    _end(0)


command_line()

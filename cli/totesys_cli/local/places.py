"""Where the processes of the local stack live: loopback ports, folders, and locks on folders."""

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from totesys_cli.local.errors import LocalStackError

LOOPBACK = "127.0.0.1"
# What the data plane's template and its users call of AWS.
SERVICES = ("s3", "sqs", "events", "scheduler", "cloudformation")
LOCK_SECONDS = 15.0

_ATTEMPTS = 5

Server = TypeVar("Server")


def free_port() -> int:
    """A loopback port that nothing uses at this moment. Another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def port_in_use(port: int) -> bool:
    """Whether a server could not listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do, so that connections of an ended one that linger don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def require_free(port: int, server: str) -> None:
    """Raise `LocalStackError` if `server` can't have this loopback port."""
    if port_in_use(port):
        raise LocalStackError(
            f"{server} can't listen on {LOOPBACK}:{port}, which is in use: stop what listens there,"
            " or choose another port."
        )


def start_on_port(start: Callable[[int], Server], port: int | None, name: str) -> Server:
    """Start a server on a loopback port, or, without one, on a free one.

    Raises `LocalStackError` if the port is in use, or whatever else `start` raises it for.
    """
    if port is not None:
        require_free(port, name)
        return start(port)
    for _ in range(_ATTEMPTS - 1):
        candidate = free_port()
        try:
            return start(candidate)
        except LocalStackError:
            # Between the choice of the port and its use another process may have taken it.
            if not port_in_use(candidate):
                raise
    return start(free_port())


def lock_folder(folder: Path, server: str) -> int:
    """Make `folder`, lock it, and return the lock's file descriptor; closing every copy of it unlocks.

    Waits up to 15 s, for a server that is still being stopped. Raises `LocalStackError` after that,
    or if the folder can't be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalStackError(
            f"{server} can't keep its state in {folder}: {error.strerror}; choose another folder."
        ) from error
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise LocalStackError(
                    f"{server} can't use {folder}, where another one is running: stop that one,"
                    " or choose another folder."
                ) from None
            time.sleep(0.05)
        else:
            return lock

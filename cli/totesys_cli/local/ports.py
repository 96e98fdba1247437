"""Loopback ports for the processes of the local stack."""

import socket
from collections.abc import Callable
from typing import TypeVar

from totesys_cli.command_errors import LocalStackError

LOOPBACK = "127.0.0.1"

_ATTEMPTS = 5

Server = TypeVar("Server")


def free_port() -> int:
    """A loopback port that nothing uses now. Another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def port_in_use(port: int) -> bool:
    """Whether a server could not listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do, so that lingering connections of an ended one do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def require_free(port: int, server: str) -> None:
    """Raise LocalStackError if `server` cannot have this loopback port."""
    if port_in_use(port):
        raise LocalStackError(
            f"{server} cannot listen on {LOOPBACK}:{port}: the port is in use. Stop the process that listens there, "
            "or choose another port."
        )


def start_on_port(start: Callable[[int], Server], port: int | None, name: str) -> Server:
    """Start a server on this loopback port, or on a free one.

    Raises LocalStackError if the port is in use, or whatever else `start` raises it for.
    """
    if port is not None:
        require_free(port, name)
        return start(port)
    for _ in range(_ATTEMPTS - 1):
        candidate = free_port()
        try:
            return start(candidate)
        except LocalStackError:
            # Another process may have taken the port between the choice and its use.
            if not port_in_use(candidate):
                raise
    return start(free_port())

"""Limits on HTTP connections, for which uvicorn has none: how many there are, and how long each may take."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from totesys.log_events import LogEvent
from totesys.logs import logger

log = logger("totesys.service.http_connections")

# How many connections asyncio accepts before it handles what it has.
BACKLOG = 128


@dataclass(frozen=True)
class Limits:
    """How many connections a server keeps, and how long each may take.

    The default is well below the 1,024 files that a process may open. `to_ask` covers a request line and its headers,
    `to_answer` everything after them; a body has a limit of its own, 10 s.
    """

    most: int = 256
    to_ask: timedelta = timedelta(seconds=10)
    to_answer: timedelta = timedelta(minutes=2)


class LimitedConnection(H11Protocol):
    """A connection of a server with limits.

    A connection beyond the limit replaces the one that has been idle for longest, so a prompt client is served however
    many others hold a connection open.
    """

    limits: ClassVar[Limits]
    # Connections without a complete request, in the order in which they came or were last answered.
    asking: ClassVar[dict["LimitedConnection", None]]

    _deadline: asyncio.TimerHandle | None = None
    _asks = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, and close another one if there are too many."""
        super().connection_made(transport)
        self._restart_deadline()
        if len(self.connections) > self.limits.most:
            next(iter(self.asking)).close("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Either side has closed the connection."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, which may complete a request's headers."""
        super().data_received(data)
        self._update()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._update()

    def close(self, reason: str) -> None:
        """Close the connection at once."""
        self._forget()
        log.warning(LogEvent.HTTP_CONNECTION_CLOSED, reason=reason)
        self.transport.abort()

    def _update(self) -> None:
        """Restart the deadline with a request and with its answer, not with each byte."""
        asks = self.conn.their_state is h11.IDLE
        if asks != self._asks and self in self.connections:
            self._asks = asks
            self._restart_deadline()

    def _restart_deadline(self) -> None:
        self._forget()
        longest, reason = self.limits.to_answer, "the answer took too long"
        if self._asks:
            self.asking[self] = None
            longest, reason = self.limits.to_ask, "no request came in time"
        self._deadline = self.loop.call_later(longest.total_seconds(), self.close, reason)

    def _forget(self) -> None:
        self.asking.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()


def limited(limits: Limits | None = None) -> type[LimitedConnection]:
    """The protocol class of one server."""
    return type("ServerConnection", (LimitedConnection,), {"limits": limits or Limits(), "asking": {}})

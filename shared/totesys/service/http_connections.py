"""HTTP connections, of which uvicorn has as many as come, for as long as they stay: here both have limits."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from totesys.log_events import LogEvent
from totesys.logs import logger

log = logger("totesys.service.http_connections")

# What asyncio accepts in one go, before it looks at what it has.
BACKLOG = 128


@dataclass(frozen=True)
class Limits:
    """How many connections a server has at the most, and how long each may take.

    By default it needs few of the 1,024 files that a process may open; a service has some dozens of its own. `to_ask`
    is for a request line and its headers, `to_answer` for everything after them, where a body has 10 s of its own.
    """

    most: int = 256
    to_ask: timedelta = timedelta(seconds=10)
    to_answer: timedelta = timedelta(minutes=2)


class Connection(H11Protocol):
    """A connection of a server that has limits.

    One that is too many takes the place of that which has been silent or asking for longest: who asks at once is
    answered, however many others hold a connection without asking.
    """

    limits: ClassVar[Limits]
    # Those that have not asked yet, in the order in which they came or were last answered.
    asking: ClassVar[dict["Connection", None]]

    _deadline: asyncio.TimerHandle | None = None
    _asks = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, and give up another if it is one too many."""
        super().connection_made(transport)
        self._begin()
        if len(self.connections) > self.limits.most:
            next(iter(self.asking)).give_up("others want to ask")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, whoever has closed it."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes, which may be the last of a request's headers."""
        super().data_received(data)
        self._note()

    def on_response_complete(self) -> None:
        """It may ask again."""
        super().on_response_complete()
        self._note()

    def give_up(self, reason: str) -> None:
        """Close it now, whatever is on its way."""
        self._forget()
        log.warning(LogEvent.HTTP_CONNECTION_CLOSED, reason=reason)
        self.transport.abort()

    def _note(self) -> None:
        """The time begins anew with a request and with its answer, not with each byte."""
        asks = self.conn.their_state is h11.IDLE
        if asks != self._asks and self in self.connections:
            self._asks = asks
            self._begin()

    def _begin(self) -> None:
        self._forget()
        longest, reason = self.limits.to_answer, "its answer has no end"
        if self._asks:
            self.asking[self] = None
            longest, reason = self.limits.to_ask, "no request came"
        self._deadline = self.loop.call_later(longest.total_seconds(), self.give_up, reason)

    def _forget(self) -> None:
        self.asking.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()


def limited(limits: Limits | None = None) -> type[Connection]:
    """The protocol of one server."""
    return type("LimitedConnection", (Connection,), {"limits": limits or Limits(), "asking": {}})

"""Connections to Postgres that notice when the other side is gone."""

import asyncio
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    _Base = asyncpg.Connection[asyncpg.Record]
else:
    _Base = asyncpg.Connection

# After so many seconds without an answer a side is given up, with its locks. A live side may read nothing while it
# waits for a lock or for S3: both take less.
SILENCE = 90
IDLE, INTERVAL = 30, 10

# Settings of the server's side.
SERVER_SETTINGS = {
    "tcp_keepalives_idle": str(IDLE),
    "tcp_keepalives_interval": str(INTERVAL),
    "tcp_keepalives_count": str((SILENCE - IDLE) // INTERVAL),
    "tcp_user_timeout": str(SILENCE * 1000),
}


@dataclass(frozen=True)
class Keepalive:
    """Settings of the client's side, in seconds; `user_timeout` in milliseconds. None means the system's default."""

    on: bool = True
    idle: int = IDLE
    interval: int = INTERVAL
    count: int | None = None
    user_timeout: int = SILENCE * 1000


class KeepaliveConnection(_Base):
    """A connection whose statements all end with it, COPY too."""

    __slots__ = ("_socket",)

    def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        self._socket: socket.socket = transport.get_extra_info("socket")
        self.keep_alive(Keepalive())

    def keep_alive(self, how: Keepalive) -> None:
        """Have the operating system detect a server that is gone."""
        if self._socket.family == socket.AF_UNIX:
            return
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, how.on)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, how.user_timeout)
        for option, value in (
            (socket.TCP_KEEPIDLE, how.idle),
            (socket.TCP_KEEPINTVL, how.interval),
            (socket.TCP_KEEPCNT, how.count),
        ):
            if how.on and value is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)

    async def copy_to_table(self, *where: Any, **how: Any) -> str:
        """As the driver's, but ends with the connection."""
        return await self._while_open(super().copy_to_table(*where, **how))

    async def copy_records_to_table(self, *where: Any, **how: Any) -> str:
        """As the driver's, but ends with the connection."""
        return await self._while_open(super().copy_records_to_table(*where, **how))

    async def _while_open(self, copying: Coroutine[Any, Any, str]) -> str:
        """End a COPY with its connection: the driver would wait until somebody reads its data."""
        task = asyncio.create_task(copying)

        def end(_: object) -> None:
            task.cancel()

        self.add_termination_listener(end)
        try:
            return await task
        except (Exception, asyncio.CancelledError) as error:
            own = asyncio.current_task()
            cancelled = own is not None and own.cancelling()
            if cancelled or isinstance(error, asyncpg.PostgresError) or not self.is_closed():
                raise
            raise asyncpg.ConnectionDoesNotExistError("the connection ended in the middle of COPY") from error
        finally:
            self.remove_termination_listener(end)

"""Detects a connection pooler that doesn't keep a session per connection.

Ingest and load need a session for its locks, its snapshot and its settings.
"""

from collections.abc import Awaitable, Callable

import asyncpg

from totesys.keepalive import KeepaliveConnection

# How long to wait for a second session. A pooler that has none left keeps sessions: else it would lend ours.
_SECONDS = 5.0
_ROUNDS = 5
# A prepared statement of this connection is missing in the session, or another one's is there.
FOREIGN_STATEMENTS = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)


class SharedSession(Exception):
    """A pooler assigns each transaction of a connection to any session."""


def is_pooled(connection: KeepaliveConnection, process: int) -> bool:
    """Whether there is a pooler, given the server process of the connection: a pooler reports a process of its own."""
    return connection.get_server_pid() != process


async def check_kept(connection: KeepaliveConnection, another: Callable[[], Awaitable[KeepaliveConnection]]) -> None:
    """Raises SharedSession if the pooler lends the session of `connection` to another connection."""
    try:
        second = await another()
    except (OSError, asyncpg.PostgresError):
        return
    try:
        if await _share(connection, second):
            raise SharedSession
    except TimeoutError:
        return
    finally:
        second.terminate()


async def _share(first: KeepaliveConnection, second: KeepaliveConnection) -> bool:
    try:
        for _ in range(_ROUNDS):
            own = await process_of(first)
            # An idle pooler lends the session that was returned last.
            if own == await process_of(second):
                return True
            # Another one lends the session that was returned first. After this, that is not ours.
            async with first.transaction():
                meanwhile = await process_of(first)
                async with second.transaction():
                    await process_of(second)
            if {own, meanwhile} != {await process_of(first)}:
                return True
    except (*FOREIGN_STATEMENTS, asyncpg.ProtocolViolationError):
        # The latter if the pooler doesn't even keep transactions together.
        return True
    return False


async def process_of(connection: KeepaliveConnection) -> int:
    """The server process of a connection now."""
    return int(await connection.fetchval("SELECT pg_catalog.pg_backend_pid()", timeout=_SECONDS))

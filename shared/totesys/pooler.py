"""Poolers between us and Postgres: whether one keeps a session for a connection, or hands it on after each transaction.

What ingest and load do needs a session: its locks, its snapshot, its settings.
"""

from collections.abc import Awaitable, Callable

import asyncpg

from totesys.keepalive import KeepaliveConnection

# How long a second session is waited for. A pooler with none left keeps those it has given: others would share ours.
_SECONDS = 5.0
_ROUNDS = 5
# A statement that this session has prepared is not there, or one is that it has not.
FOREIGN_STATEMENTS = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)


class SharedSession(Exception):
    """A pooler gives a connection another session for each transaction."""


def is_pooled(connection: KeepaliveConnection, process: int) -> bool:
    """Whether a pooler is between, given the process that serves: it has told the client another one, of its own."""
    return connection.get_server_pid() != process


async def check_kept(connection: KeepaliveConnection, another: Callable[[], Awaitable[KeepaliveConnection]]) -> None:
    """Raises SharedSession if the pooler lends the session of `connection` to `another`."""
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
            # An idle pooler lends what was given back last.
            if own == await process_of(second):
                return True
            # Another one lends what was given back first: after this, that is not ours.
            async with first.transaction():
                meanwhile = await process_of(first)
                async with second.transaction():
                    await process_of(second)
            if {own, meanwhile} != {await process_of(first)}:
                return True
    except (*FOREIGN_STATEMENTS, asyncpg.ProtocolViolationError):
        # The latter where not even transactions are kept together.
        return True
    return False


async def process_of(connection: KeepaliveConnection) -> int:
    """The server's process that serves a connection now."""
    return int(await connection.fetchval("SELECT pg_catalog.pg_backend_pid()", timeout=_SECONDS))

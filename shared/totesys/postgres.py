"""Connections to Postgres whose errors say what happened, to which database, and what to do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from totesys.errors import AccessDenied, DatabaseUnavailable, SettingsError

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

# What COPY prints must not depend on how a server or a role is set up.
SESSION = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "TimeZone": "UTC",
    "application_name": "totesys",
}
CONNECT_SECONDS = 10.0

_DENIED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)
_BROKEN = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


def place(dsn: str) -> str:
    """Where a DSN leads, without its password: `host:port/database`, or `its DSN` where that cannot be told."""
    try:
        parts = urlsplit(dsn)
        if "@" in parts.path + parts.query + parts.fragment:  # a password with / ? or # in it is cut there
            return "its DSN"
        return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"
    except ValueError:
        return "its DSN"


@contextmanager
def database_errors(what: str, dsn: str) -> Iterator[None]:
    """Turn a driver's error into one of ours that names `what` ("the source") and where it is.

    Raises DatabaseUnavailable, AccessDenied or SettingsError; any other error passes through.
    """
    try:
        yield
    except asyncpg.InvalidCatalogNameError as error:
        raise SettingsError(f"{what} at {place(dsn)}: {error}. Create it, or correct the DSN.") from error
    except _DENIED as error:
        raise AccessDenied(f"{what} at {place(dsn)} refuses: {error}. Correct the DSN or grant the right.") from error
    except _BROKEN as error:
        raise DatabaseUnavailable(
            f"{what} at {place(dsn)} does not answer: {str(error) or type(error).__name__}. "
            "Check that it runs and can be reached."
        ) from error


@asynccontextmanager
async def connect(what: str, dsn: str, **session: str) -> AsyncIterator[Connection]:
    """A connection to `what`, closed at the end, with SESSION and the given settings.

    Errors inside the block are mapped as `database_errors` says.
    """
    with database_errors(what, dsn):
        try:
            connection = await asyncpg.connect(dsn, server_settings={**SESSION, **session}, timeout=CONNECT_SECONDS)
        except (ValueError, OverflowError) as error:
            # Only the driver's own words: Python's would quote a part of the password.
            reason = str(error) if isinstance(error, asyncpg.ClientConfigurationError) else "it is no URL"
            raise SettingsError(
                f"The DSN of {what.lower()} cannot be read: {reason}. "
                "Write postgresql://user:password@host:port/database, with %2F for a / in the password."
            ) from None
        try:
            yield connection
        finally:
            await _close(connection)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=5)
    except _BROKEN:
        connection.terminate()

"""Connections to Postgres, whose errors say what happened, to which database, and what to do."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import asyncpg

from totesys.aws_logins import Login, secret_login
from totesys.database_errors import ALL_ERRORS, DRIVER_ERRORS, as_ours, plain
from totesys.dsn.parameters import SECRET, DsnError
from totesys.dsn.resolve import DatabaseTarget, resolve
from totesys.errors import LoginRefused, SettingsError
from totesys.opening import Opening
from totesys.pooler import SharedSession
from totesys.session import SESSION
from totesys.tls import tls_fault

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

CLOSE_SECONDS = 5.0
# How long after the server's own timeout the client gives up a statement: the server or the network is gone.
MARGIN_SECONDS = 30.0


def redacted(dsn: str) -> str:
    """A DSN without its password: `host:port/database`, or `its DSN` if that can't be told apart."""
    try:
        return resolve(dsn).redacted
    except (DsnError, OSError):
        return "its DSN"


@contextmanager
def database_errors(what: str, dsn: str) -> Iterator[None]:
    """Turn the driver's errors into ours, which name `what` ("The source") and its location."""
    try:
        yield
    except ALL_ERRORS as error:
        # Without the driver's error as its cause, which would show the row's values in the log.
        raise as_ours(what, redacted(dsn), error).with_traceback(error.__traceback__) from None


def encoding_of(connection: Connection) -> str:
    """The name of the encoding of the connection's database."""
    return str(connection.get_settings().server_encoding)


@asynccontextmanager
async def connect(what: str, dsn: str, **session: str) -> AsyncIterator[Connection]:
    """A connection to `what` for the block, with SESSION and the given settings.

    A DSN that names a secret takes its login from there, and reads it again if the server refuses the login: it may
    have been rotated. `statement_timeout` (milliseconds) bounds every statement, even if the server is gone. Errors in
    the block are turned into ours.
    """
    with database_errors(what, dsn):
        connection = await _open(what, dsn, SESSION | session)
        try:
            yield connection
        finally:
            await _close(connection)


async def _open(what: str, dsn: str, session: dict[str, str]) -> Connection:
    with _usable(what, dsn):
        target = resolve(dsn)
    secret = target.values.get(SECRET)
    try:
        if secret is None:
            return await _connect(what, target, session)
        cached = await secret_login(secret)
        try:
            return await _connect(what, target, session, cached)
        except asyncpg.InvalidAuthorizationSpecificationError:
            return await _connect(what, target, session, await secret_login(secret, refused=cached))
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        # While a password is being changed, server and client disagree. That passes.
        login, fix = "the login", "Correct the DSN or grant the privilege"
        if secret:
            login, fix = f"the login in the secret {secret}", "Correct the secret or the role's password"
        raise LoginRefused(
            f"{what} at {target.redacted} refuses {login}: {plain(error)}. "
            f"If the password is just being changed, this passes. {fix}."
        ) from None


async def _connect(what: str, target: DatabaseTarget, session: dict[str, str], role: Login | None = None) -> Connection:
    limit = int(session["statement_timeout"]) / 1000 + MARGIN_SECONDS
    user, password = (role.user, role.password) if role else (target.user, None)
    with _usable(what, target.redacted), _hidden(what, target):
        return await Opening(target, user, password, session | target.session(), limit).connection()


@contextmanager
def _hidden(what: str, target: DatabaseTarget) -> Iterator[None]:
    """Don't show the name of a database that may be part of the password."""
    try:
        yield
    except asyncpg.InvalidCatalogNameError:
        if target.shown:
            raise
        raise SettingsError(
            f"{what}: the database in its DSN does not exist. Create it, or write %2F for a / in the password."
        ) from None


@contextmanager
def _usable(what: str, where: str) -> Iterator[None]:
    """Turn errors of the DSN, of a pooler or of TLS into a SettingsError."""
    try:
        yield
    except DsnError as error:
        raise SettingsError(f"The DSN of {what.lower()} is invalid: {error}.") from None
    except SharedSession:
        raise SettingsError(
            f"{what} at {where} is a connection pooler that shares sessions between clients. "
            "Set its pool_mode to session for this database, or name the server itself."
        ) from None
    except OSError as error:
        if fault := tls_fault(error):
            raise SettingsError(f"{what} at {where} {fault}") from error
        raise
    except ValueError:
        # Python's message might quote a part of it.
        raise SettingsError(f"The DSN of {what.lower()} is invalid: its host is not a valid name.") from None


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (asyncpg.PostgresConnectionError, *DRIVER_ERRORS):
        connection.terminate()

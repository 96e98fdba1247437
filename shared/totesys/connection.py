"""Connections to Postgres whose errors say what happened, to which database, and what to do."""

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
# How much later than the server's own limit the client gives a statement up: the server is gone, or what is between.
MARGIN_SECONDS = 30.0


def redacted(dsn: str) -> str:
    """Where a DSN leads, without its password: `host:port/database`, or `its DSN` where that cannot be told."""
    try:
        return resolve(dsn).redacted
    except (DsnError, OSError):
        return "its DSN"


@contextmanager
def database_errors(what: str, dsn: str) -> Iterator[None]:
    """Turn a driver's error into one of ours that names `what` ("the source") and where it is.

    Raises what `as_ours` makes of it; an error that is not the driver's passes through.
    """
    try:
        yield
    except ALL_ERRORS as error:
        # Without the driver's error as its cause: a log of it would show the row's values.
        raise as_ours(what, redacted(dsn), error).with_traceback(error.__traceback__) from None


def encoding_of(connection: Connection) -> str:
    """The encoding of the connection's database, as Postgres calls it."""
    return str(connection.get_settings().server_encoding)


@asynccontextmanager
async def connect(what: str, dsn: str, **session: str) -> AsyncIterator[Connection]:
    """A connection to `what`, closed at the end, with SESSION and the given settings.

    A DSN that names a secret has its login from there, and again where the server refuses it: it was rotated.
    No statement takes longer than `statement_timeout` (milliseconds): the server ends it, or the client if the server
    is gone. Errors inside the block are mapped as `database_errors` says.
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
        known = await secret_login(secret)
        try:
            return await _connect(what, target, session, known)
        except asyncpg.InvalidAuthorizationSpecificationError:
            return await _connect(what, target, session, await secret_login(secret, refused=known))
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        # While a password is being changed, the server and whoever logs in do not agree. That passes.
        held, mend = "the login", "Correct the DSN or grant the right"
        if secret:
            held, mend = f"the login that the secret {secret} holds", "Correct the secret or the role's password"
        raise LoginRefused(
            f"{what} at {target.redacted} refuses {held}: {plain(error)}. "
            f"A password that is just being changed is waited for. {mend}."
        ) from None


async def _connect(what: str, target: DatabaseTarget, session: dict[str, str], role: Login | None = None) -> Connection:
    limit = int(session["statement_timeout"]) / 1000 + MARGIN_SECONDS
    user, password = (role.user, role.password) if role else (target.user, None)
    with _usable(what, target.redacted), _hidden(what, target):
        return await Opening(target, user, password, session | target.session(), limit).connection()


@contextmanager
def _hidden(what: str, target: DatabaseTarget) -> Iterator[None]:
    """Keep to itself what the server calls a database that may be a part of the password."""
    try:
        yield
    except asyncpg.InvalidCatalogNameError:
        if target.shown:
            raise
        raise SettingsError(
            f"{what}: the database that its DSN names does not exist. Create it, or write %2F for a / in the password."
        ) from None


@contextmanager
def _usable(what: str, where: str) -> Iterator[None]:
    """Turn the error of a DSN that says what cannot be, or of TLS that cannot be had, into a SettingsError."""
    try:
        yield
    except DsnError as error:
        raise SettingsError(f"The DSN of {what.lower()} cannot be read: {error}.") from None
    except SharedSession:
        raise SettingsError(
            f"{what} at {where} is a pooler that gives each transaction another session. "
            "Set its pool_mode to session for this database, or name the server itself."
        ) from None
    except OSError as error:
        if fault := tls_fault(error):
            raise SettingsError(f"{what} at {where} {fault}") from error
        raise
    except ValueError:
        # Python's own words might quote a part of it.
        raise SettingsError(f"The DSN of {what.lower()} cannot be read: its host is none that can be.") from None


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (asyncpg.PostgresConnectionError, *DRIVER_ERRORS):
        connection.terminate()

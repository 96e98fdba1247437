"""What a database says decides what happens next: it may pass, a person has to mend it, or nobody knows."""

from collections.abc import Callable

import asyncpg
import pytest

from tests.command import as_role
from tests.sources import execute
from totesys.errors import AccessDenied, DatabaseUnavailable, SettingsError, TotesysError
from totesys.postgres import connect
from totesys.service.retry import DeadLetter, TryAgain, after_failure
from totesys_cli.local.reachable import ReachablePostgres

pytestmark = pytest.mark.postgres

PASSING = {
    "25006": "a standby, or a server that is read-only",
    "40001": "serialization_failure",
    "40P01": "deadlock_detected",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "too_many_connections",
    "55P03": "lock_not_available",
    "57014": "query_canceled",
    "57P02": "crash_shutdown",
    "57P03": "the database system is starting up",
    "58030": "io_error",
}


async def said(dsn: str, statement: str, **session: str) -> TotesysError:
    with pytest.raises(TotesysError) as raised:
        async with connect("The warehouse", dsn, **session) as connection:
            await connection.execute(statement)
    return raised.value


@pytest.mark.parametrize("state", PASSING)
async def test_what_may_pass_is_tried_again(database: Callable[[], str], state: str) -> None:
    error = await said(database(), f"DO $$BEGIN RAISE 'no, thanks' USING ERRCODE = '{state}'; END$$")
    assert isinstance(error, DatabaseUnavailable)
    assert str(error).startswith("The warehouse at 127.0.0.1:")
    assert "cannot do it now: no, thanks" in str(error)


async def test_it_is_so_with_what_a_server_says_by_itself(database: Callable[[], str]) -> None:
    dsn = database()
    assert "statement timeout" in str(await said(dsn, "SELECT pg_sleep(60)", statement_timeout="10"))
    assert "read-only" in str(await said(dsn, "CREATE TABLE x ()", default_transaction_read_only="on"))
    # The last words of a server that ends the connection come with it.
    ended = await said(dsn, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)")
    assert isinstance(ended, DatabaseUnavailable)
    assert "terminating connection" in str(ended)


async def test_too_many_connections_may_pass(postgres: ReachablePostgres) -> None:
    await execute(postgres.dsn(), "CREATE ROLE crowded LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    try:
        error = await said(as_role(postgres.dsn(), "crowded", "x"), "SELECT 1")
    finally:
        await execute(postgres.dsn(), "DROP ROLE crowded")
    assert isinstance(error, DatabaseUnavailable)
    assert "too many connections" in str(error)


@pytest.mark.parametrize(
    ("state", "kind"), [("28000", AccessDenied), ("42501", AccessDenied), ("3D000", SettingsError)]
)
async def test_what_somebody_must_mend_is_not(
    database: Callable[[], str], state: str, kind: type[TotesysError]
) -> None:
    assert isinstance(await said(database(), f"DO $$BEGIN RAISE USING ERRCODE = '{state}'; END$$"), kind)


async def test_what_nobody_foresaw_is_tried_some_times_and_then_buried(database: Callable[[], str]) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError) as raised:
        async with connect("The warehouse", database()) as connection:
            await connection.execute("SELECT 1 / 0")
    assert isinstance(after_failure(raised.value, 1, 5, 0.5), TryAgain)
    assert after_failure(raised.value, 5, 5, 0.5) == DeadLetter("DivisionByZeroError: division by zero (tried 5 times)")

"""What a database says decides what happens next: it may pass, a person has to mend it, or nobody knows."""

import traceback
from collections.abc import Callable

import asyncpg
import pytest

from tests.command import as_role
from tests.sources import execute
from totesys.connection import connect, database_errors, redacted
from totesys.errors import (
    AccessDenied,
    DatabaseUnavailable,
    DataRefused,
    SettingsError,
    TotesysError,
    UnexpectedDatabaseError,
    WarehouseMismatch,
)
from totesys.redaction import error_fields
from totesys.service.retry import GiveUp, Retry, after_failure
from totesys.sqlstates import CLASSES, STATES, Meaning, meaning_of
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
    assert "cannot serve now: no, thanks" in str(error)


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


EVERY: dict[str, str] = {
    name: state
    for name, kind in vars(asyncpg.exceptions).items()
    if isinstance(kind, type) and (state := getattr(kind, "sqlstate", None))
}
KINDS = {
    Meaning.OUTAGE: DatabaseUnavailable,
    Meaning.DENIED: AccessDenied,
    Meaning.MISCONFIGURED: SettingsError,
    Meaning.DRIFT: WarehouseMismatch,
    Meaning.DATA: DataRefused,
    Meaning.DEFECT: UnexpectedDatabaseError,
}
# Of each meaning, those that operators are promised something about.
PROMISED = {
    Meaning.OUTAGE: (*PASSING, "08006", "55000", "57P01", "72000"),
    Meaning.DENIED: ("28000", "28P01", "42501", "0P000"),
    Meaning.MISCONFIGURED: ("3D000", "3F000", "22023", "0A000", "26000", "P0001", "HV000"),
    Meaning.DRIFT: ("42P01", "42703", "42704", "42804", "42883", "428C9"),
    Meaning.DATA: ("22P02", "22021", "22P05", "22003", "23505", "23502", "21000"),
    Meaning.DEFECT: ("42601", "42702", "XX000", "25P02"),
}
SECRET = "Ada Lovelace, 10 Downing Street"


@pytest.mark.parametrize(("meaning", "states"), PROMISED.items())
def test_an_sqlstate_means_what_operators_are_promised(meaning: Meaning, states: tuple[str, ...]) -> None:
    assert {state: meaning_of(state) for state in states} == dict.fromkeys(states, meaning)


def test_every_class_of_errors_has_a_meaning_and_no_state_repeats_that_of_its_class() -> None:
    assert {state[:2] for state in EVERY.values()} <= CLASSES.keys()
    assert not [state for state, meaning in STATES.items() if CLASSES[state[:2]] is meaning]
    assert STATES.keys() <= set(EVERY.values())


async def test_every_error_of_the_driver_becomes_one_of_ours_and_tells_no_value(database: Callable[[], str]) -> None:
    dsn = database()
    async with connect("The warehouse", dsn) as connection:
        for name, state in EVERY.items():
            # A data exception has the value in its message, all others may have it in the detail.
            message = f"not {SECRET}" if state[:2] in ("22", "38", "39", "P0") else f"because of {name}"
            statement = (
                f"DO $$BEGIN RAISE USING ERRCODE = '{state}', MESSAGE = '{message}', DETAIL = '{SECRET}', "
                f"HINT = '{SECRET}'; END$$"
            )
            with pytest.raises(KINDS[meaning_of(state)]) as raised, database_errors("The warehouse", dsn):
                await connection.execute(statement)
            text = "".join(traceback.format_exception(raised.value))
            assert SECRET not in text, name
            assert message in text or state in str(raised.value), name
            assert str(raised.value).startswith(f"The warehouse at {redacted(dsn)}"), name
            for decision in (after_failure(raised.value, 1, 5, 0.5), after_failure(raised.value, 5, 5, 0.5)):
                assert isinstance(decision, Retry) or "asyncpg" not in decision.reason


async def test_what_a_statement_does_to_a_value_tells_the_column_and_not_the_value(database: Callable[[], str]) -> None:
    dsn = database()
    await execute(dsn, "CREATE TABLE person (id int PRIMARY KEY, born date NOT NULL)")
    refused = {
        f"INSERT INTO person VALUES (1, '{SECRET}')": "invalid datetime format, SQLSTATE 22007",
        "INSERT INTO person VALUES (7321, '2000-01-01'), (7321, '2000-01-01')": 'unique constraint "person_pkey"',
        "INSERT INTO person VALUES (7321, NULL)": 'null value in column "born" of relation "person"',
        f"SELECT '{SECRET}'::int": "invalid text representation, SQLSTATE 22P02",
    }
    for statement, tells in refused.items():
        error = await said(dsn, statement)
        assert isinstance(error, DataRefused)
        assert tells in str(error)
        assert SECRET not in str(error)
        assert "7321" not in str(error)


async def test_a_parameter_that_cannot_be_sent_is_refused_and_its_value_is_not_told(
    database: Callable[[], str],
) -> None:
    with pytest.raises(DataRefused, match="data exception, SQLSTATE 22000") as raised:
        async with connect("The warehouse", database()) as connection:
            await connection.fetch("SELECT $1::int", SECRET)
    assert SECRET not in str(raised.value)


async def test_a_database_that_takes_no_connections_is_an_outage(
    postgres: ReachablePostgres, database: Callable[[], str]
) -> None:
    dsn = database()
    name = dsn.rpartition("/")[2]
    await execute(postgres.dsn(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    error = await said(dsn, "SELECT 1")
    assert isinstance(error, DatabaseUnavailable)
    assert str(error) == (
        f'The warehouse at {redacted(dsn)} cannot serve now: database "{name}" is not currently accepting connections.'
    )
    await execute(postgres.dsn(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await execute(dsn, "SELECT 1")


@pytest.mark.parametrize(
    ("state", "kind"), [("28000", AccessDenied), ("42501", AccessDenied), ("3D000", SettingsError)]
)
async def test_what_somebody_must_mend_is_not(
    database: Callable[[], str], state: str, kind: type[TotesysError]
) -> None:
    assert isinstance(await said(database(), f"DO $$BEGIN RAISE USING ERRCODE = '{state}'; END$$"), kind)


async def test_what_nobody_foresaw_is_tried_some_times_and_then_buried(database: Callable[[], str]) -> None:
    error = await said(dsn := database(), "SELECT 1 FROM")
    assert isinstance(after_failure(error, 1, 5, 0.5), Retry)
    assert error_fields(error)["exc_info"] is error
    assert after_failure(error, 5, 5, 0.5) == GiveUp(
        f"UnexpectedDatabaseError: The warehouse at {redacted(dsn)} reports an unexpected error: syntax error at end "
        "of input (SQLSTATE 42601). Please report it. (tried 5 times)"
    )


LANGUAGES = {"a check of one's own": "check_violation", "a state of one's own": "TT001", "a class of another": "42P01"}


@pytest.mark.parametrize("state", LANGUAGES.values(), ids=LANGUAGES)
async def test_what_a_function_raises_is_not_told_whatever_state_it_gives(
    database: Callable[[], str], state: str
) -> None:
    raising = f"RAISE EXCEPTION 'no such person: %', NEW.name USING ERRCODE = '{state}'"
    dsn = database()
    await execute(
        dsn,
        "CREATE TABLE person (name text)",
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {raising}; END$$",
        "CREATE TRIGGER refuse BEFORE INSERT ON person FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    error = await said(dsn, f"INSERT INTO person VALUES ('{SECRET}')")
    assert SECRET not in "".join(traceback.format_exception(error))
    assert "see the server's log" in str(error)

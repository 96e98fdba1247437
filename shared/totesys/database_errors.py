"""A driver's error as one of ours, which tells no value of any row. Pure."""

import re
from collections.abc import Callable
from typing import TypeAlias

import asyncpg

from totesys.errors import (
    AccessDenied,
    DatabaseUnavailable,
    DataRefused,
    SchemaDrift,
    SettingsError,
    TooManyConnections,
    TotesysError,
    UnexpectedDatabaseError,
    WarehouseMismatch,
)
from totesys.sqlstates import Meaning, meaning_of

# What a server answers. The driver has the classes 01 and 02 as warnings, also where they end a statement.
Answer: TypeAlias = asyncpg.PostgresError | asyncpg.PostgresWarning
# What no server answers: the way to it, or the driver's own state.
DRIVER_ERRORS = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ALL_ERRORS = (asyncpg.PostgresError, asyncpg.PostgresWarning, *DRIVER_ERRORS)
# Whose messages may hold a row's values: data exceptions (the driver's own are of parameters that it cannot send), and
# what somebody's functions, triggers and foreign servers raise.
_TELL_VALUES = {"22", "38", "39", "HV", "P0"}
# Where a server says that somebody's function has raised it, which gives an error whatever state and words it likes.
_RAISED_IN = ("pl_exec", "plpy_", "plperl", "pltcl")


def as_ours(what: str, where: str, error: Exception) -> TotesysError:
    """One of our errors that says the same; `what` ("The source") is at `where`."""
    at = f"{what} at {where}"
    if not isinstance(error, asyncpg.PostgresError | asyncpg.PostgresWarning):
        return DatabaseUnavailable(
            f"{at} does not answer: {str(error) or type(error).__name__}. Check that it runs and can be reached."
        )
    meaning = Meaning.DRIFT if isinstance(error, asyncpg.InvalidCachedStatementError) else meaning_of(error.sqlstate)
    return _MAKE[meaning](what, at, error)


def plain(error: Answer) -> str:
    """What the server says, without DETAIL and HINT, which may hold a row's values."""
    raised = (error.server_source_filename or "").startswith(_RAISED_IN)
    if error.sqlstate[:2] not in _TELL_VALUES and not (raised and meaning_of(error.sqlstate) is not Meaning.OUTAGE):
        return str(error.args[0]) if error.args else condition(error)
    return f"{condition(error)}{_of(error)} (its own log says more)"


def condition(error: Answer) -> str:
    """What Postgres's documentation calls the error's SQLSTATE, such as `invalid text representation`."""
    name = type(error).__name__.removesuffix("Error") if error.sqlstate != "22000" else "DataException"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower()
    return f"{words}, SQLSTATE {error.sqlstate}"


def _of(error: Answer) -> str:
    named = (error.table_name, error.column_name, error.constraint_name)
    return f", of {'.'.join(name for name in named if name)}" if any(named) else ""


def _unavailable(_what: str, at: str, error: Answer) -> TotesysError:
    if error.sqlstate.startswith("08"):
        return DatabaseUnavailable(f"{at} does not answer: {plain(error)}. Check that it runs and can be reached.")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return TooManyConnections(f"{at} cannot do it now: {plain(error)}. Allow this role more connections, or wait.")
    return DatabaseUnavailable(f"{at} cannot do it now: {plain(error)}.")


def _denied(_what: str, at: str, error: Answer) -> TotesysError:
    return AccessDenied(f"{at} refuses: {plain(error)}. Correct the DSN or grant the right.")


def _misconfigured(_what: str, at: str, error: Answer) -> TotesysError:
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return SettingsError(f"{at}: {plain(error)}. Create it, or correct the DSN.")
    return SettingsError(f"{at} is not set up for this: {plain(error)}. Correct the server's setup, or the DSN.")


def _drift(what: str, at: str, error: Answer) -> TotesysError:
    kind = WarehouseMismatch if what == "The warehouse" else SchemaDrift
    return kind(f"{at} is not what the model declares: {plain(error)}. Correct the database or the declaration.")


def _refused(_what: str, at: str, error: Answer) -> TotesysError:
    return DataRefused(f"{at} refuses a value: {plain(error)}. Correct the row, or what refuses it.")


def _unexpected(_what: str, at: str, error: Answer) -> TotesysError:
    return UnexpectedDatabaseError(
        f"{at} reports what was not foreseen: {plain(error)} (SQLSTATE {error.sqlstate}). Report this defect."
    )


_MAKE: dict[Meaning, Callable[[str, str, Answer], TotesysError]] = {
    Meaning.OUTAGE: _unavailable,
    Meaning.DENIED: _denied,
    Meaning.MISCONFIGURED: _misconfigured,
    Meaning.DRIFT: _drift,
    Meaning.DATA: _refused,
    Meaning.DEFECT: _unexpected,
}

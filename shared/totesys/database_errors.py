"""A driver's error as one of ours, without any row's values. Pure."""

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

# Errors that a server reports. The driver treats the classes 01 and 02 as warnings, even if they end a statement.
Answer: TypeAlias = asyncpg.PostgresError | asyncpg.PostgresWarning
# Errors that no server reports: of the network or of the driver's own state.
DRIVER_ERRORS = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ALL_ERRORS = (asyncpg.PostgresError, asyncpg.PostgresWarning, *DRIVER_ERRORS)
# Classes whose messages may contain a row's values: data exceptions (the driver raises them for parameters that it
# cannot send), and errors of functions, triggers and foreign servers.
_WITH_VALUES = {"22", "38", "39", "HV", "P0"}
# Source files of the server that report an error raised by a function, whose SQLSTATE and message can be anything.
_RAISED_IN = ("pl_exec", "plpy_", "plperl", "pltcl")


def as_ours(what: str, where: str, error: Exception) -> TotesysError:
    """The error as one of ours. `what` is the database ("The source"), `where` its location."""
    at = f"{what} at {where}"
    if not isinstance(error, asyncpg.PostgresError | asyncpg.PostgresWarning):
        return DatabaseUnavailable(
            f"{at} does not answer: {str(error) or type(error).__name__}. Check that it runs and can be reached."
        )
    meaning = Meaning.DRIFT if isinstance(error, asyncpg.InvalidCachedStatementError) else meaning_of(error.sqlstate)
    return _MAKE[meaning](what, at, error)


def plain(error: Answer) -> str:
    """The server's message, without DETAIL and HINT and without what may be a row's values."""
    raised = (error.server_source_filename or "").startswith(_RAISED_IN)
    if error.sqlstate[:2] not in _WITH_VALUES and not (raised and meaning_of(error.sqlstate) is not Meaning.OUTAGE):
        return str(error.args[0]) if error.args else condition(error)
    return f"{condition(error)}{_of(error)} (see the server's log)"


def condition(error: Answer) -> str:
    """The name that the documentation of Postgres has for the SQLSTATE, such as `invalid text representation`."""
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
        return TooManyConnections(f"{at} cannot serve now: {plain(error)}. Allow this role more connections, or wait.")
    return DatabaseUnavailable(f"{at} cannot serve now: {plain(error)}.")


def _denied(_what: str, at: str, error: Answer) -> TotesysError:
    return AccessDenied(f"{at} denies access: {plain(error)}. Correct the DSN or grant the privilege.")


def _misconfigured(_what: str, at: str, error: Answer) -> TotesysError:
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return SettingsError(f"{at}: {plain(error)}. Create it, or correct the DSN.")
    return SettingsError(
        f"{at} is not configured for this: {plain(error)}. Correct the server's configuration, or the DSN."
    )


def _drift(what: str, at: str, error: Answer) -> TotesysError:
    kind = WarehouseMismatch if what == "The warehouse" else SchemaDrift
    return kind(f"{at} is not what the model declares: {plain(error)}. Correct the database or the declaration.")


def _refused(_what: str, at: str, error: Answer) -> TotesysError:
    return DataRefused(f"{at} refuses a value: {plain(error)}. Correct the row, or the constraint that refuses it.")


def _unexpected(_what: str, at: str, error: Answer) -> TotesysError:
    return UnexpectedDatabaseError(
        f"{at} reports an unexpected error: {plain(error)} (SQLSTATE {error.sqlstate}). Please report it."
    )


_MAKE: dict[Meaning, Callable[[str, str, Answer], TotesysError]] = {
    Meaning.OUTAGE: _unavailable,
    Meaning.DENIED: _denied,
    Meaning.MISCONFIGURED: _misconfigured,
    Meaning.DRIFT: _drift,
    Meaning.DATA: _refused,
    Meaning.DEFECT: _unexpected,
}

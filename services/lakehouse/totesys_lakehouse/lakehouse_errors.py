"""What can go wrong with the lakehouse, as errors of this system."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchNamespaceError,
    NoSuchTableError,
    ValidationError,
    ValidationException,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from totesys.aws_client import lake_errors
from totesys.errors import AccessDenied, LakeUnavailable, SettingsError, TerminalError, TransientError

_DENIED = ("ACCESS_DENIED", "Access Denied", "AccessDenied", "HTTP response code 403", "INVALID_ACCESS_KEY_ID")
_NO_BUCKET = ("NO_SUCH_BUCKET", "NoSuchBucket", "specified bucket does not exist")
# SQLSTATE classes: a login that is refused, a right that is missing, a database that does not exist.
_LOGIN, _RIGHT, _NO_DATABASE = "28", "42501", "3D000"


class LakehouseUnavailable(TransientError):
    """The Iceberg catalog or its storage does not answer, or broke off."""

    title = "Lakehouse unavailable"


class LakehouseMismatch(TerminalError):
    """An Iceberg table is not what the model declares, or is not ours."""

    title = "Lakehouse mismatch"


class CommitConflict(TransientError):
    """Another writer committed to the table first, or the table does not exist: nothing was written."""

    title = "Commit conflict"


@contextmanager
def lakehouse_errors(what: str) -> Iterator[None]:
    """Turn an error of catalog or storage about `what` into one of this system.

    Raises CommitConflict, LakehouseUnavailable, AccessDenied or SettingsError.
    """
    try:
        yield
    except (NoSuchNamespaceError, NoSuchTableError) as error:
        raise CommitConflict(f"{_capital(what)} does not exist. The lakehouse service creates it.") from error
    except (CommitFailedException, IntegrityError, ValidationException) as error:
        raise CommitConflict(f"Another writer changed {what} first: {_plain(error)}. It is read again.") from error
    except (CommitStateUnknownException, ValidationError) as error:
        raise LakehouseUnavailable(f"The catalog or the metadata of {what} gave no answer: {_plain(error)}.") from error
    except SQLAlchemyError as error:
        raise _of_database(what, error) from error
    except (ClientError, BotoCoreError) as error:
        try:
            with lake_errors(what):
                raise
        except LakeUnavailable as ours:
            raise LakehouseUnavailable(str(ours)) from error
    except OSError as error:
        raise _of_storage(what, error) from error


def _of_database(what: str, error: SQLAlchemyError) -> Exception:
    state = (getattr(error.orig, "sqlstate", None) or "") if isinstance(error, DBAPIError) else ""
    said = _plain(error.orig if isinstance(error, DBAPIError) and error.orig else error)
    if state.startswith(_RIGHT) or "readonly database" in said:
        return AccessDenied(f"The Iceberg catalog refuses {what}: {said}. Grant the right to create and write tables.")
    if state.startswith(_NO_DATABASE):
        return SettingsError(f"The Iceberg catalog cannot be opened: {said}. Create the database, or correct the DSN.")
    if state.startswith(_LOGIN):
        return LakehouseUnavailable(f"The Iceberg catalog refuses the login: {said}. Correct user or password.")
    return LakehouseUnavailable(f"The Iceberg catalog cannot serve {what} now: {said}.")


def _of_storage(what: str, error: OSError) -> Exception:
    said = _plain(error)
    if any(word in said for word in _DENIED):
        return AccessDenied(f"The storage of {what} refuses access: {said}. Grant the right to read and write there.")
    if any(word in said for word in _NO_BUCKET):
        return SettingsError(f"The bucket of {what} does not exist: {said}. Create it, or correct the location.")
    return LakehouseUnavailable(f"The storage of {what} cannot be reached: {said}.")


def _capital(what: str) -> str:
    return f"{what[0].upper()}{what[1:]}"


def _plain(error: BaseException) -> str:
    """An error's first line, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")

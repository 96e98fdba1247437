"""The errors of this system, by what happens next.

    TotesysError
    ├── TransientError          may pass: the same work is retried with back-off
    │   ├── DatabaseUnavailable     Postgres does not answer, broke the connection, or cannot serve now
    │   │   ├── TooManyConnections      the server, the database or the role allows no more connections
    │   │   └── LoginRefused            a password or role is wrong, or is just being changed
    │   └── LakeUnavailable         S3 or SQS does not answer, or broke the connection
    ├── UnexpectedDatabaseError Postgres reports an error that no code expects: retried a few times, then dead-lettered
    └── TerminalError           a retry changes nothing: a person has to fix the cause
        ├── ModelError              the declarations contradict each other
        ├── SettingsError           a setting is missing or cannot be used
        ├── AccessDenied            a privilege or permission is missing
        ├── DataRefused             Postgres does not accept, or cannot return, a value
        ├── SchemaDrift             the source is not what the model declares
        ├── WarehouseMismatch       the warehouse is not what the model declares
        ├── CorruptObject           an object of the lake is not what its manifest says
        ├── NewerRecord             a record of the lake has a shape that only a newer release reads
        ├── BadRequest              a request asks for something impossible
        └── BadMessage              a message that no service sends

A message says what happened, to what, and what to do. It never contains a password, nor a row's values where a
database reports them.
"""

import re


class TotesysError(Exception):
    """The root of all errors that this system raises. `title` names the kind of error for people."""

    title = "Error"

    def __init_subclass__(cls) -> None:
        """Derive the title from the name, unless the class has its own: SchemaDrift is a "Schema drift"."""
        if "title" not in vars(cls):
            cls.title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__).capitalize()

    @property
    def transient(self) -> bool:
        """Whether the same work may succeed when it is retried."""
        return isinstance(self, TransientError)


class TransientError(TotesysError):
    """The same work may succeed later."""


class DatabaseUnavailable(TransientError):
    """A Postgres server does not answer, broke the connection, or cannot serve now."""


class TooManyConnections(DatabaseUnavailable):
    """The server, the database or the role allows no more connections."""


class LoginRefused(DatabaseUnavailable):
    """A Postgres server refuses a login: the password or the role is wrong, or is just being changed."""

    title = DatabaseUnavailable.title


class LakeUnavailable(TransientError):
    """S3 or SQS does not answer, or broke the connection."""


class UnexpectedDatabaseError(TotesysError):
    """A Postgres server reports an error that no code expects: it may pass, or be a defect of this program."""


class TerminalError(TotesysError):
    """A retry changes nothing until a person has fixed the cause."""


class ModelError(TerminalError):
    """The declarations of the model contradict each other."""


class SettingsError(TerminalError):
    """A setting is missing or cannot be used."""


class AccessDenied(TerminalError):
    """A privilege or permission is missing."""


class DataRefused(TerminalError):
    """A database does not accept, or cannot return, a value."""


class SchemaDrift(TerminalError):
    """The source's tables are not what the model declares."""


class WarehouseMismatch(TerminalError):
    """The warehouse's tables are not what the model declares."""


class CorruptObject(TerminalError):
    """An object of the lake is not what its manifest says."""


class NewerRecord(TerminalError):
    """A record of the lake has a shape that only a newer release reads."""


class BadRequest(TerminalError):
    """A request asks for something impossible."""


class BadMessage(TerminalError):
    """A message that no service sends."""

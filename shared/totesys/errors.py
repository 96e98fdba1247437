"""What can go wrong, by what happens next.

    TotesysError
    ├── TransientError          the same work may succeed later: it is tried again, with back-off
    │   ├── DatabaseUnavailable     a Postgres does not answer, broke off, or cannot serve now
    │   │   └── LoginRefused            a password or a role is wrong, perhaps while it is being changed
    │   └── LakeUnavailable         S3 or SQS does not answer, or broke off
    ├── UnexpectedDatabaseError nobody foresaw what a Postgres reports: it is tried some times, then dead-lettered
    └── TerminalError           trying again changes nothing: a person has to mend something
        ├── ModelError              the declarations contradict each other
        ├── SettingsError           a setting is missing or cannot be used
        ├── AccessDenied            a right is wrong
        ├── DataRefused             a Postgres does not take, or does not give, a value
        ├── SchemaDrift             the source is not what the model declares
        ├── WarehouseMismatch       the warehouse is not what the model declares
        ├── CorruptObject           an object of the lake is not what its manifest says
        ├── NewerRecord             an object of the lake has a shape that only a newer release reads
        ├── BadRequest              somebody asks for what cannot be
        └── BadMessage              a message that no service sends

A message says what happened, to what, and what to do. It never carries a password, nor a row's values where a
database reports them.
"""


class TotesysError(Exception):
    """Root of every error that this system raises on purpose."""

    title = "Error"

    @property
    def transient(self) -> bool:
        """Whether the same work may succeed when it is tried again."""
        return isinstance(self, TransientError)


class TransientError(TotesysError):
    """The same work may succeed later."""


class DatabaseUnavailable(TransientError):
    """A Postgres server does not answer, broke off, or says that it cannot serve now."""

    title = "Database unavailable"


class LoginRefused(DatabaseUnavailable):
    """A Postgres server lets a role not in: its password is wrong, or is just being changed."""


class LakeUnavailable(TransientError):
    """S3 or SQS does not answer, or broke off."""

    title = "Lake unavailable"


class UnexpectedDatabaseError(TotesysError):
    """A Postgres server reports what nobody foresaw: it may pass, or be a defect."""

    title = "Unexpected database error"


class TerminalError(TotesysError):
    """Trying again changes nothing until a person has mended the cause."""


class ModelError(TerminalError):
    """The declarations of the model contradict each other."""

    title = "Model error"


class SettingsError(TerminalError):
    """A setting is missing or cannot be used."""

    title = "Settings error"


class AccessDenied(TerminalError):
    """A right is wrong."""

    title = "Access denied"


class DataRefused(TerminalError):
    """A database does not take, or does not give, a value."""

    title = "Data refused"


class SchemaDrift(TerminalError):
    """The source's tables are not the declared ones."""

    title = "Schema drift"


class WarehouseMismatch(TerminalError):
    """The warehouse's tables are not the declared ones."""

    title = "Warehouse mismatch"


class CorruptObject(TerminalError):
    """An object of the lake is not what its manifest says."""

    title = "Corrupt object"


class NewerRecord(TerminalError):
    """An object of the lake has a shape that only a newer release reads."""

    title = "Newer record"


class BadRequest(TerminalError):
    """Somebody asks for what cannot be."""

    title = "Bad request"


class BadMessage(TerminalError):
    """A message that no service sends."""

    title = "Bad message"

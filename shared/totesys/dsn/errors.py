"""What is wrong with a DSN."""

FORM = "Write postgresql://user:password@host:port/database, with %2F for a / in the password"


class DsnError(ValueError):
    """A DSN cannot be used. The message never quotes what may be a part of a password."""

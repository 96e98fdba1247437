"""What is wrong with a DSN."""


class DsnError(ValueError):
    """A DSN cannot be used. The message never quotes what may be a part of a password."""

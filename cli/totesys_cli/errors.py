"""What the command's exit code says."""

from totesys.errors import TotesysError

FAILED = 1
WRONG_CALL = 2
# As shells say of what Ctrl-C ended.
INTERRUPTED = 130


class StageFailed(TotesysError):
    """A stage gave a message up. The call ends with FAILED."""

    title = "Stage failed"


class BadInput(TotesysError):
    """A DSN, a folder, a port or an option that cannot be used. The call ends with WRONG_CALL."""

    title = "Bad input"

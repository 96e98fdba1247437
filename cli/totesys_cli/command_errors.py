"""The command's exit codes, and the errors that end a call."""

from typing import IO

from totesys.errors import TotesysError

FAILED = 1
USAGE_ERROR = 2
# 128 + SIGINT, as shells report it.
INTERRUPTED = 130

_LOG_LINES = 15


class StageFailed(TotesysError):
    """A stage failed, or did not finish in time. The call exits with FAILED."""

    title = "Stage failed"


class UsageError(TotesysError):
    """An argument, an option or a setting cannot be used. The call exits with USAGE_ERROR."""

    title = "Usage error"


class LocalStackError(TotesysError):
    """A part of the local stack cannot start, respond or stop. The call exits with USAGE_ERROR."""

    title = "Local stack error"

    def __init__(self, sentence: str, *, log: IO[bytes] | None = None) -> None:
        """Add the last lines of `log` to the sentence."""
        super().__init__("\n  ".join([sentence, *(last_lines(log) if log else [])]))


def last_lines(log: IO[bytes]) -> list[str]:
    """The last lines of an open text file."""
    log.seek(0)
    return log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]

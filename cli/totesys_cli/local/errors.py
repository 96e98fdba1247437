"""What goes wrong with the local stack."""

from typing import IO

_LAST_LINES = 15


class LocalStackError(Exception):
    """A part of the local stack can't start, answer or stop: one sentence says what, where and what to do."""

    def __init__(self, sentence: str, *, log: IO[bytes] | None = None) -> None:
        """Add the last lines of `log` to the sentence."""
        lines = last_lines(log) if log is not None else []
        super().__init__("\n  ".join([sentence, *lines]))


def last_lines(log: IO[bytes]) -> list[str]:
    """The last lines of an open text file."""
    log.seek(0)
    return log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]

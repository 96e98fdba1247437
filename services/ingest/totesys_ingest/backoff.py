"""Pauses extractions after a failed one, whichever trigger requests the next: the cause is the same."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from totesys.errors import TransientError
from totesys.service.retry import back_off, jitter


class Backoff:
    """A pause that doubles with each transient failure in a row and ends with a success."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    @property
    def seconds(self) -> float:
        """How long the next extraction has to wait."""
        return max(0.0, self._until - time.monotonic())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count the block as a failure if it raises a TransientError, or as a success if it raises nothing."""
        try:
            yield
        except TransientError:
            self._until = time.monotonic() + back_off(self._failures, jitter()).total_seconds()
            self._failures += 1
            raise
        self._failures, self._until = 0, 0.0

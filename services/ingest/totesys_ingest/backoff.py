"""How long extractions pause after one that failed: whatever asks for them, the cause is the same."""

import time
from dataclasses import dataclass

from totesys.service.retry import back_off, jitter


@dataclass
class Backoff:
    """Doubles the pause with each failure in turn, and ends with a success."""

    _failures: int = 0
    _until: float = 0.0

    @property
    def seconds(self) -> float:
        """How long the next extraction has to wait."""
        return max(0.0, self._until - time.monotonic())

    def failed(self) -> None:
        """An extraction has failed."""
        self._failures += 1
        self._until = time.monotonic() + back_off(self._failures - 1, jitter()).total_seconds()

    def succeeded(self) -> None:
        """An extraction has succeeded."""
        self._failures, self._until = 0, 0.0

"""Waiting for what AWS does by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to look, in seconds: soon at first, then ever less often."""

    longest: float
    first: float = 0.1
    between: float = 5.0

    def until(self, found: Callable[[], T | None]) -> T | None:
        """What `found` gives once it gives something; None if that takes too long."""
        deadline = time.monotonic() + self.longest
        pause = min(self.first, self.between)
        while (it := found()) is None:
            if time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, self.between)
        return it

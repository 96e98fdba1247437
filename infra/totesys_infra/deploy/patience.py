"""Waiting for what AWS does by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to look, in seconds: soon at first, then ever less often."""

    longest: float
    first: float = 0.1
    between: float = 5.0

    def until(self, found: Callable[[], T | None]) -> T | None:
        """What `found` gives once it gives something; None if that takes too long."""
        asks = Retrying(
            retry=retry_if_result(lambda it: it is None),
            wait=wait_exponential(multiplier=self.first, exp_base=1.5, max=self.between),
            stop=stop_after_delay(self.longest),
            retry_error_callback=lambda _: None,
        )
        return asks(found)

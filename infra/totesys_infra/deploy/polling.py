"""Polls for a result that AWS produces on its own time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

T = TypeVar("T")


@dataclass(frozen=True)
class Polling:
    """A timeout and the intervals in seconds, which grow from `first` to `interval`."""

    timeout: float
    first: float = 0.1
    interval: float = 5.0

    def until(self, found: Callable[[], T | None]) -> T | None:
        """The first result of `found` that is not None; None after the timeout."""
        poll = Retrying(
            retry=retry_if_result(lambda it: it is None),
            wait=wait_exponential(multiplier=self.first, exp_base=1.5, max=self.interval),
            stop=stop_after_delay(self.timeout),
            retry_error_callback=lambda _: None,
        )
        return poll(found)

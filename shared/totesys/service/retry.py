"""What happens to work that failed: a retry with back-off, or the dead-letter queue. Pure."""

import logging
import random
from dataclasses import dataclass
from datetime import timedelta

from totesys.errors import TerminalError, TransientError
from totesys.redaction import safe_message

FIRST_DELAY = timedelta(seconds=1)
# Twice in five minutes, so that a recovered database is noticed well within the promised 30.
LONGEST_DELAY = timedelta(seconds=150)


@dataclass(frozen=True)
class Retry:
    """The message becomes visible again after `delay`."""

    delay: timedelta


@dataclass(frozen=True)
class GiveUp:
    """The message goes to the dead-letter queue with its reason."""

    reason: str


def after_failure(error: Exception, receives: int, max_receives: int, jitter: float) -> Retry | GiveUp:
    """Decide whether to retry a message whose work failed.

    Only a TerminalError is dead-lettered at once. An unexpected error may pass, so it is retried up to `max_receives`.
    """
    reason = f"{type(error).__name__}: {safe_message(error)}"
    if isinstance(error, TerminalError):
        return GiveUp(reason)
    if receives >= max_receives:
        return GiveUp(f"{reason} (tried {receives} times)")
    return Retry(back_off(receives, jitter))


def back_off(failures: int, jitter: float, longest: timedelta = LONGEST_DELAY) -> timedelta:
    """A delay that doubles with each failure, at most `longest`; `jitter` (0 to 1) picks from its upper half."""
    # 2**16 s is beyond any limit and within a timedelta.
    delay: timedelta = min(FIRST_DELAY * 2 ** min(failures, 16), longest)
    return delay * (0.5 + jitter / 2)


def jitter() -> float:
    """A random number from 0 to 1, for `after_failure` and `back_off`."""
    return random.random()


def severity(error: Exception) -> int:
    """The level to log a failure at: a warning if it may pass by itself."""
    return logging.WARNING if isinstance(error, TransientError) else logging.ERROR

"""What happens to work that failed. Pure."""

import random
from dataclasses import dataclass
from datetime import timedelta

from totesys.errors import TerminalError
from totesys.redaction import safe_message

FIRST_DELAY = timedelta(seconds=1)
# Twice in five minutes, so that a database that comes back is noticed well within the promised 30.
LONGEST_DELAY = timedelta(seconds=150)


@dataclass(frozen=True)
class TryAgain:
    """The message becomes visible again after `delay`."""

    delay: timedelta


@dataclass(frozen=True)
class DeadLetter:
    """The message goes to the dead-letter queue."""

    reason: str


def after_failure(error: Exception, receives: int, max_receives: int, jitter: float) -> TryAgain | DeadLetter:
    """What to do with a message whose work failed: try again after `back_off`, or no more.

    An error that is not ours may be a passing one: only a TerminalError is buried at once.
    """
    reason = f"{type(error).__name__}: {safe_message(error)}"
    if isinstance(error, TerminalError):
        return DeadLetter(reason)
    if receives >= max_receives:
        return DeadLetter(f"{reason} (tried {receives} times)")
    return TryAgain(back_off(receives, jitter))


def back_off(failures: int, jitter: float) -> timedelta:
    """A delay that doubles with each failure up to a limit, between half and all of it by `jitter` (0 to 1)."""
    # The limit is reached long before the power becomes more than a timedelta holds.
    longest: timedelta = min(FIRST_DELAY * 2 ** min(failures, 16), LONGEST_DELAY)
    return longest * (0.5 + jitter / 2)


def jitter() -> float:
    """A number from 0 to 1, for `after_failure` and `back_off`."""
    return random.random()

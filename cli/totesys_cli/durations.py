"""Periods as people write them: 30s, 5m, 1h."""

import re
from datetime import timedelta

from totesys_cli.command_errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def parse_period(text: str) -> timedelta:
    """A whole number with its unit, at least one second. Raises UsageError."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smh])", text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a valid period. Write a whole number and s, m or h: 30s, 5m, 1h.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def schedule_expression(period: timedelta) -> str | None:
    """EventBridge's rate expression for a period of whole minutes; None for any other period."""
    minutes, rest = divmod(int(period.total_seconds()), 60)
    return None if rest else f"rate({minutes} minute{'' if minutes == 1 else 's'})"

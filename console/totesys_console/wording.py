"""Durations, timestamps, numbers and sizes as the console shows them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class Timestamp:
    """A timestamp for people and for programs."""

    text: str
    iso: str


def span(seconds: float) -> str:
    """A duration in its two largest units, such as `2 min 13 s`; below ten seconds `0.14 s`."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s".replace("0.00 s", "0 s")
    rest = int(seconds)
    first = next(number for number, (_, size) in enumerate(_UNITS) if rest >= size)
    parts = []
    for unit, size in _UNITS[first : first + 2]:
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts)


def age(seconds: float) -> str:
    """A duration that grows while it is shown: in whole seconds."""
    return span(seconds) if seconds >= 10 else f"{max(int(seconds), 0)} s"


def clock(time: datetime, now: datetime) -> str:
    """A time of day in UTC, with the date unless that is today's."""
    utc = time.astimezone(UTC)
    pattern = "%H:%M:%S" if utc.date() == now.astimezone(UTC).date() else "%Y-%m-%d %H:%M:%S"
    return utc.strftime(pattern)


def timestamp(time: datetime, now: datetime) -> Timestamp:
    """A timestamp as the page shows it."""
    return Timestamp(clock(time, now), time.astimezone(UTC).isoformat(timespec="seconds"))


def size(count: int) -> str:
    """A number of bytes, such as `1.4 MB`."""
    if count < 1000:
        return f"{count} B"
    amount, unit = float(count), "B"
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 - the last one counts
        amount /= 1000
        if amount < 999.5:
            break
    return f"{amount:.1f} {unit}" if amount < 99.5 else f"{amount:.0f} {unit}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def joined(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

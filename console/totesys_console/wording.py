"""How the console says lengths of time, moments, numbers and sizes. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class Moment:
    """A moment, for a person and for a machine."""

    text: str
    iso: str


def span(seconds: float) -> str:
    """A length of time in its two largest units, such as `2 min 13 s`; `0.14 s` below ten seconds."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s".replace("0.00 s", "0 s")
    rest = int(seconds)
    first = next(place for place, (_, size) in enumerate(_UNITS) if rest >= size)
    said = []
    for unit, size in _UNITS[first : first + 2]:
        amount, rest = divmod(rest, size)
        if amount:
            said.append(f"{amount} {unit}")
    return " ".join(said)


def age(seconds: float) -> str:
    """A length of time that goes on: no parts of a second."""
    return span(seconds) if seconds >= 10 else f"{max(int(seconds), 0)} s"


def moment(time: datetime, now: datetime) -> str:
    """A moment as UTC, with its day unless that is today."""
    there = time.astimezone(UTC)
    pattern = "%H:%M:%S" if there.date() == now.astimezone(UTC).date() else "%Y-%m-%d %H:%M:%S"
    return there.strftime(pattern)


def stamp(time: datetime, now: datetime) -> Moment:
    """A moment as the page shows it, and as a machine reads it."""
    return Moment(moment(time, now), time.astimezone(UTC).isoformat(timespec="seconds"))


def size(count: int) -> str:
    """Bytes, such as `1.4 MB`."""
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

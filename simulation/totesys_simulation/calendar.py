"""When the generated past happened: working days, from a fixed day on, whatever the day is now."""

from datetime import datetime, timedelta

OPENING = datetime(2022, 11, 3, 8)  # noqa: DTZ001 - the source's timestamps have no time zone
CLOSING = datetime(2024, 11, 15, 18)  # noqa: DTZ001
WORKING_HOURS = timedelta(hours=10)

WORKING_DAYS = tuple(
    day
    for day in (OPENING + timedelta(days=count) for count in range((CLOSING - OPENING).days + 1))
    if day.isoweekday() <= 5
)


def working_moment(place: float) -> datetime:
    """The moment, in milliseconds, at `place` of the working time between OPENING (0) and CLOSING (1)."""
    days = place * len(WORKING_DAYS)
    milliseconds = int((days - int(days)) * (WORKING_HOURS // timedelta(milliseconds=1)))
    return WORKING_DAYS[int(days)] + timedelta(milliseconds=milliseconds)

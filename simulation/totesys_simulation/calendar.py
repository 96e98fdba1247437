"""The working days of the generated past, from a fixed day on."""

from datetime import datetime, timedelta

OPENING = datetime(2022, 11, 3, 8)  # noqa: DTZ001 - timestamps of the source have no time zone
CLOSING = datetime(2024, 11, 15, 18)  # noqa: DTZ001
WORKING_HOURS = timedelta(hours=10)

WORKING_DAYS = tuple(
    day
    for day in (OPENING + timedelta(days=count) for count in range((CLOSING - OPENING).days + 1))
    if day.isoweekday() <= 5
)


def working_time(share: float) -> datetime:
    """The time, in milliseconds, at a share of the working time between OPENING (0) and CLOSING (1)."""
    days = share * len(WORKING_DAYS)
    milliseconds = int((days - int(days)) * (WORKING_HOURS // timedelta(milliseconds=1)))
    return WORKING_DAYS[int(days)] + timedelta(milliseconds=milliseconds)

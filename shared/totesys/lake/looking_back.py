"""The newest runs first, though a bucket lists in ascending order: intervals that go back, and widen. Pure."""

from collections.abc import Iterator

# So much is listed at once at the most: some pages of keys.
WIDEST = 25_600


def intervals_back(upper: int, first: int, lower: int = 0) -> Iterator[tuple[int, int]]:
    """Intervals of numbers, after the one and up to the other, from `upper` down to the one after `lower`.

    The first one has `first` numbers, each further one twice as many: a gap of any length is soon behind.
    """
    size = first
    while upper > lower:
        after = max(lower, upper - size)
        yield after, upper
        upper, size = after, min(2 * size, max(first, WIDEST))

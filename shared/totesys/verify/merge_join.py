"""A merge join of two ordered streams of rows. Pure."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

R = TypeVar("R")


async def merged(
    expected: AsyncIterator[R], found: AsyncIterator[R], key: Callable[[R], Any]
) -> AsyncIterator[tuple[R | None, R | None]]:
    """Each row with its counterpart of the same key, or None if the other stream has none.

    Both streams are sorted by key. Rows with the same key are paired in order, so a duplicate on one side is a row
    without a counterpart.
    """
    one, other = await anext(expected, None), await anext(found, None)
    while one is not None or other is not None:
        if other is None or (one is not None and key(one) < key(other)):
            yield one, None
            one = await anext(expected, None)
        elif one is None or key(other) < key(one):
            yield None, other
            other = await anext(found, None)
        else:
            yield one, other
            one, other = await anext(expected, None), await anext(found, None)

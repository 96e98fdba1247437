"""Concurrent work whose tasks never outlive it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

T = TypeVar("T")
U = TypeVar("U")


async def gather_pair(first: Awaitable[T], second: Awaitable[U]) -> tuple[T, U]:
    """Both results. Waits for both even if one fails: a connection can't be closed cleanly in mid-statement."""
    results = await asyncio.gather(first, second, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(tuple[T, U], tuple(results))


async def prefetched(reads: Iterable[Callable[[], Coroutine[Any, Any, T]]], ahead: int = 1) -> AsyncGenerator[T, None]:
    """The results of the reads, in order. Up to `ahead` of them start before they are needed.

    At most `ahead` + 1 results are in memory. Close the generator (`contextlib.aclosing`) to cancel reads early.
    """
    started: deque[asyncio.Task[T]] = deque()
    try:
        for read in reads:
            started.append(asyncio.create_task(read()))
            if len(started) > ahead:
                yield await started.popleft()
        while started:
            yield await started.popleft()
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)

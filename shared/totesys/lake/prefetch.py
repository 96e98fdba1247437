"""Reading ahead: the next object comes while the last one is worked on."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def prefetched(reads: Iterable[Callable[[], Coroutine[Any, Any, T]]], ahead: int = 1) -> AsyncGenerator[T, None]:
    """What the reads give, in their order, with up to `ahead` of them begun before they are asked for.

    So `ahead` + 1 results are in memory at most. Close the generator (`contextlib.aclosing`) to end them early.
    """
    begun: deque[asyncio.Task[T]] = deque()
    try:
        for read in reads:
            begun.append(asyncio.create_task(read()))
            if len(begun) > ahead:
                yield await begun.popleft()
        while begun:
            yield await begun.popleft()
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

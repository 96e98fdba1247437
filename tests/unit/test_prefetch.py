"""Prefetched reads keep their order, use bounded memory, and leave nothing running."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from totesys.concurrency import prefetched


class Reads:
    """Reads of numbers that record how many started and which were cancelled."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.begun = 0
        self.cancelled: list[int] = []
        self.all: list[Callable[[], Coroutine[Any, Any, int]]] = [partial(self._read, n) for n in range(count)]
        self._fails_at = fails_at

    async def _read(self, number: int) -> int:
        self.begun += 1
        try:
            await asyncio.sleep(0.0001 * (7 * number % 5))
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if number == self._fails_at:
            raise OSError("gone")
        return number


@given(count=st.integers(0, 12), ahead=st.integers(0, 4))
async def test_reads_come_in_order_and_few_start_early(count: int, ahead: int) -> None:
    reads = Reads(count)
    taken = []
    async for number in prefetched(reads.all, ahead):
        taken.append(number)
        assert reads.begun <= len(taken) + ahead
    assert taken == list(range(count))


async def test_a_failed_read_raises_in_order_and_cancels_the_others() -> None:
    reads = Reads(9, fails_at=1)
    numbers = prefetched(reads.all, 3)
    assert await anext(numbers) == 0
    with pytest.raises(OSError, match="gone"):
        await anext(numbers)
    assert len(asyncio.all_tasks()) == 1


async def test_stopping_early_cancels_the_reads() -> None:
    reads = Reads(9)
    async with aclosing(prefetched(reads.all, 2)) as numbers:
        assert await anext(numbers) == 0
        await asyncio.sleep(0)
    assert reads.begun <= 3
    assert len(asyncio.all_tasks()) == 1

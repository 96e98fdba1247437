"""Waiting for what nothing announces."""

import operator
from collections.abc import Callable

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

LONGEST_WAIT = 120.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true, while the rest of the test goes on."""

    async def ask() -> object:
        return condition()

    await AsyncRetrying(
        retry=retry_if_result(operator.not_), wait=wait_fixed(0.02), stop=stop_after_delay(LONGEST_WAIT)
    )(ask)

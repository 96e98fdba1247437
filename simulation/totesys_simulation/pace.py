"""When a writer may go on: a rate that several workers share, and an end."""

import asyncio
from contextlib import suppress

CATCH_UP = 10.0  # seconds: what waiting for another writer's locks costs is made up for, an outage is not


class Pace:
    """Lets about `rate` rows a second pass, until `seconds` have passed or `stop` is set."""

    def __init__(self, rate: float, seconds: float | None, stop: asyncio.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._clock = asyncio.get_running_loop().time
        self._next = self._clock()
        self._end = self._next + seconds if seconds is not None else float("inf")

    @property
    def over(self) -> bool:
        return self._stop.is_set() or self._clock() >= self._end

    async def turn(self, rows: int) -> None:
        """Wait until `rows` more may be written, or it is over."""
        turn = max(self._next, self._clock() - CATCH_UP)
        self._next = turn + rows / self._rate
        await self.pause(turn - self._clock())

    async def pause(self, seconds: float) -> None:
        """Wait `seconds`, or until it is over."""
        timeout = min(seconds, self._end - self._clock())
        if timeout > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), timeout)

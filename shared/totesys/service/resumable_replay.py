"""Runs that a stage does again: in order, what is new first, and where it was cut off it goes on."""

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from totesys.errors import BadMessage, LakeUnavailable, TotesysError
from totesys.lake.records import ReplayRecord
from totesys.lake.store import Lake, failure_of
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.triggers import RunsTrigger

log = logger("totesys.service.resumable_replay")

# How long a replay goes on without a look at what is new, and without a note of how far it is.
BATCH_SECONDS = 1.0
# How often it is logged.
LOG_SECONDS = 30.0


@dataclass(frozen=True)
class Work:
    """What a stage does with runs, each a whole of its own.

    `runs` gives those of an interval (after the first number, up to the second) that can be done again, in order;
    `again` does one of them; `pending` does what is new.
    """

    runs: Callable[[int, int], AsyncGenerator[int, None]]
    again: Callable[[int], Awaitable[None]]
    pending: Callable[[], Awaitable[None]]


class Replay:
    """One replay of a stage. What is noted of it in the lake lets it go on after whatever ended it."""

    def __init__(self, lake: Lake, stage: str, wakeup: RunsTrigger) -> None:
        assert wakeup.again is not None
        first, last = wakeup.again
        self._lake = lake
        self._stage = stage
        self._name = wakeup.replay
        self._record = ReplayRecord(first=first, last=last, done=first - 1)

    async def do(self, work: Work) -> None:
        """Do the runs again that are not done yet. Raises BadMessage if there are none, and what the work raises."""
        if await self._is_finished():
            return
        noted = logged = -math.inf
        async with aclosing(work.runs(self._record.done, self._record.last)) as runs:
            async for run in runs:
                if (now := time.monotonic()) - noted > BATCH_SECONDS:
                    await self._note()
                    await work.pending()
                    noted = time.monotonic()
                    if now - logged > LOG_SECONDS:
                        log.info(LogEvent.REPLAY_STARTED, first=self._record.first, last=self._record.last, run=run)
                        logged = now
                await self._one(work, run)
        if not self._record.runs:
            first, last = self._record.first, self._record.last
            named = f"is no run {first}" if first == last else f"are no runs from {first} to {last}"
            raise BadMessage(f"There {named} for {self._stage} to replay.")
        await self._note(finished=True)

    async def _is_finished(self) -> bool:
        """Whether nothing is left to do; begins with what is noted, if anything is."""
        known = await self._lake.replay(self._stage, self._name) if self._name else None
        if known is None or (known.first, known.last) != (self._record.first, self._record.last):
            return False
        self._record = known.model_copy(update={"failure": None})
        if not known.finished:
            log.info(LogEvent.REPLAY_RESUMED, first=known.first, last=known.last, after=known.done)
        return known.finished

    async def _one(self, work: Work, run: int) -> None:
        try:
            await work.again(run)
        except LakeUnavailable:
            # Where nothing can be read, nothing can be written.
            raise
        except TotesysError as error:
            await self._note(failure=failure_of(run, self._stage, error))
            raise
        self._record = self._record.model_copy(update={"done": run, "runs": self._record.runs + 1})

    async def _note(self, **changes: object) -> None:
        self._record = self._record.model_copy(update=changes)
        if self._name:
            await self._lake.put_replay(self._stage, self._name, self._record)

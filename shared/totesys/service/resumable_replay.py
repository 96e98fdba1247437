"""The replay of runs that a stage has already done: in order, after new runs, and resumed after an interruption."""

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from totesys.errors import BadMessage, LakeUnavailable, TotesysError
from totesys.lake.records import ReplayRecord
from totesys.lake.store import Lake, failure_of
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.triggers import RunsTrigger

log = logger("totesys.service.resumable_replay")

# How often a replay records its progress and gives way to new runs.
BATCH_SECONDS = 1.0
# How often it logs its progress.
LOG_SECONDS = 30.0


class Replay:
    """One replay by a stage. Its progress is recorded in the lake, so that an interrupted replay resumes."""

    def __init__(self, lake: Lake, stage: str, trigger: RunsTrigger) -> None:
        assert trigger.to_replay is not None
        first, last = trigger.to_replay
        self._lake = lake
        self._stage = stage
        self._name = trigger.replay
        self._record = ReplayRecord(first=first, last=last, done=first - 1)

    async def replay(
        self,
        find_runs: Callable[[int, int], AsyncGenerator[int, None]],
        replay_run: Callable[[int], Awaitable[None]],
        do_pending: Callable[[], Awaitable[None]],
    ) -> None:
        """Replay the runs that this replay has not done yet, and do pending runs at the start of each batch.

        `find_runs` yields, in order, the runs after its first argument and up to its second that can be replayed.
        Raises BadMessage if there are none, and what the callbacks raise.
        """
        if await self._is_finished():
            return
        recorded = logged = -math.inf
        async with aclosing(find_runs(self._record.done, self._record.last)) as runs:
            async for run in runs:
                if (now := time.monotonic()) - recorded > BATCH_SECONDS:
                    await self._save()
                    await do_pending()
                    recorded = time.monotonic()
                    if now - logged > LOG_SECONDS:
                        log.info(LogEvent.REPLAY_STARTED, first=self._record.first, last=self._record.last, run=run)
                        logged = now
                await self._replay_run(replay_run, run)
        if not self._record.runs:
            first, last = self._record.first, self._record.last
            named = f"is no run {first}" if first == last else f"are no runs from {first} to {last}"
            raise BadMessage(f"There {named} for {self._stage} to replay.")
        await self._save(finished=True)

    async def _is_finished(self) -> bool:
        """Continue from the record of an earlier attempt, if there is one; whether that finished."""
        known = await self._lake.replay(self._stage, self._name) if self._name else None
        if known is None or (known.first, known.last) != (self._record.first, self._record.last):
            return False
        self._record = known.model_copy(update={"failure": None})
        if not known.finished:
            log.info(LogEvent.REPLAY_RESUMED, first=known.first, last=known.last, after=known.done)
        return known.finished

    async def _replay_run(self, replay_run: Callable[[int], Awaitable[None]], run: int) -> None:
        try:
            await replay_run(run)
        except LakeUnavailable:
            # Where nothing can be read, nothing can be written.
            raise
        except TotesysError as error:
            await self._save(failure=failure_of(run, self._stage, error))
            raise
        self._record = self._record.model_copy(update={"done": run, "runs": self._record.runs + 1})

    async def _save(self, **changes: object) -> None:
        self._record = self._record.model_copy(update=changes)
        if self._name:
            await self._lake.put_replay(self._stage, self._name, self._record)

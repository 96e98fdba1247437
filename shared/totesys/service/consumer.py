"""The consumer: receives a wake-up, has the stage work, deletes the message only when the work is done."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Generic, TypeVar

from structlog.contextvars import bound_contextvars

from totesys.errors import TotesysError, TransientError
from totesys.events import Wakeup, parse_message
from totesys.logs import logger
from totesys.service.queue import Message, Queue
from totesys.service.retry import DeadLetter, after_failure, jitter
from totesys.service.stage import Stage

log = logger("totesys.service.consumer")

W = TypeVar("W", bound=Wakeup)

# After the queue itself could not be asked.
PAUSE = timedelta(seconds=1)


class Consumer(Generic[W]):
    """One message at a time: whatever it says, the stage then does all that is undone.

    A stage with `at_start` is sent that wake-up first: an event that came while nobody listened may be lost.
    """

    def __init__(
        self,
        queue: Queue,
        stage: Stage[W],
        wakeup: type[W],
        *,
        long_poll: timedelta,
        visibility: timedelta,
        max_receives: int,
    ) -> None:
        self._queue = queue
        self._stage = stage
        self._wakeup = wakeup
        self._long_poll = long_poll
        self._visibility = visibility
        self._max_receives = max_receives
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_sign = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to receive, in a task of its own."""
        self._task = asyncio.create_task(self._run(), name=f"{self._stage.name} consumer")

    async def stop(self, grace: timedelta) -> None:
        """Receive no more. Work at hand has `grace` to end; else it is broken off and its message given back."""
        self._stopping.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace.total_seconds())
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def fault(self) -> str | None:
        """Why the consumer is not alive; None if it is."""
        if self._task is None or self._task.done():
            return "the consumer has ended"
        silent = time.monotonic() - self._last_sign
        if silent > 3 * (self._long_poll + self._visibility).total_seconds():
            return f"the consumer has shown no sign for {silent:.0f} s"
        return None

    async def _run(self) -> None:
        first = self._stage.at_start
        while not self._stopping.is_set():
            self._last_sign = time.monotonic()
            try:
                if first is not None:
                    await self._queue.send(first.model_dump_json(exclude_none=True))
                    first = None
                message = await self._queue.receive(self._long_poll, self._visibility)
                if message is not None:
                    self._idle.clear()
                    await self._handle(message)
            except TotesysError as error:
                log.warning("queue failed", error=str(error), transient=error.transient)
                await asyncio.sleep(PAUSE.total_seconds())
            finally:
                self._idle.set()

    async def _handle(self, message: Message) -> None:
        with bound_contextvars(message_id=message.id, receives=message.receives):
            try:
                async with self._hidden(message):
                    wakeup = parse_message(message.body, self._wakeup)
                    if wakeup is not None:
                        await self._stage.work(wakeup)
            except asyncio.CancelledError:
                await self._queue.hide(message, timedelta(0))
                log.info("message given back")
                raise
            except Exception as error:  # noqa: BLE001 - nothing may end the loop; each is logged and decided on
                await self._failed(message, error)
            else:
                await self._queue.delete(message)
                log.info("message done")

    async def _failed(self, message: Message, error: Exception) -> None:
        decision = after_failure(error, message.receives, self._max_receives, jitter())
        fields = {"error": str(error), "kind": type(error).__name__, "stage": self._stage.name}
        trace = None if isinstance(error, TotesysError) else error
        if isinstance(decision, DeadLetter):
            log.error("message failed", **fields, next="dead-letter queue", exc_info=trace)
            await self._queue.bury(message, decision.reason)
        else:
            seconds = round(decision.delay.total_seconds(), 1)
            level = log.warning if isinstance(error, TransientError) else log.error
            level("message failed", **fields, next="again", after_seconds=seconds, exc_info=trace)
            await self._queue.hide(message, max(decision.delay, timedelta(seconds=1)))

    @asynccontextmanager
    async def _hidden(self, message: Message) -> AsyncIterator[None]:
        """Keep others from receiving the message while the block works."""
        keeper = asyncio.create_task(self._keep_hidden(message))
        try:
            yield
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep_hidden(self, message: Message) -> None:
        while True:
            await asyncio.sleep(self._visibility.total_seconds() / 3)
            self._last_sign = time.monotonic()
            try:
                await self._queue.hide(message, self._visibility)
            except TotesysError as error:
                log.warning("visibility not extended", error=str(error))

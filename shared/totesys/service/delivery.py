"""One delivery of a message: hidden from others while its work goes on, then deleted, hidden again, or buried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from structlog.contextvars import bound_contextvars

from totesys.errors import TotesysError, TransientError, to_trace
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import safe_message
from totesys.service.background import Background
from totesys.service.queue import Message, Queue
from totesys.service.retry import DeadLetter, after_failure, jitter

log = logger("totesys.service.delivery")

SHORTEST_DELAY = timedelta(seconds=1)
# Who is told to stop does not wait for a queue that does not answer: the message comes back by itself.
GIVE_BACK_SECONDS = 5.0


@dataclass(frozen=True)
class Delivery:
    """A message that was received, on the way to its end."""

    queue: Queue
    message: Message
    visibility: timedelta
    max_receives: int
    background: Background

    async def handle(self, work: Callable[[str], Awaitable[None]]) -> Exception | None:
        """Have `work` do what the body says; the error with which it failed, or None.

        The message is deleted only after success. A failure hides or buries it, as `after_failure` decides; being
        cancelled gives it back at once. Raises TotesysError if the queue does not take that: the message comes
        again, and work that is done is found done.
        """
        with bound_contextvars(message_id=self.message.id, receives=self.message.receives):
            try:
                async with self._hidden():
                    await work(self.message.body)
            except asyncio.CancelledError:
                await self.give_back()
                raise
            except Exception as error:  # noqa: BLE001 - nothing may end the consumer; each is logged and decided on
                await self._failed(error)
                return error
            await self.queue.delete(self.message)
            log.info(LogEvent.MESSAGE_PROCESSED)
            return None

    async def _failed(self, error: Exception) -> None:
        decision = after_failure(error, self.message.receives, self.max_receives, jitter())
        fields = {"error": safe_message(error), "kind": type(error).__name__}
        trace = to_trace(error)
        if isinstance(decision, DeadLetter):
            log.error(LogEvent.MESSAGE_FAILED, **fields, next="dead-letter queue", exc_info=trace)
            await self.queue.bury(self.message, decision.reason)
        else:
            seconds = round(decision.delay.total_seconds(), 1)
            level = log.warning if isinstance(error, TransientError) else log.error
            level(LogEvent.MESSAGE_FAILED, **fields, next="again", retry_s=seconds, exc_info=trace)
            await self.queue.hide(self.message, max(decision.delay, SHORTEST_DELAY))

    async def give_back(self) -> None:
        """Let whoever polls next have the message at once."""
        try:
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                await self.queue.hide(self.message, timedelta(0))
        except (TotesysError, TimeoutError) as error:
            log.warning(
                LogEvent.MESSAGE_RELEASE_FAILED, error=str(error), next="it is visible again when its time is over"
            )
        else:
            log.info(LogEvent.MESSAGE_RELEASED)

    @asynccontextmanager
    async def _hidden(self) -> AsyncIterator[None]:
        """Keep others from receiving the message while the block works."""
        async with self.background.during("visibility", self._keep_hidden):
            yield

    async def _keep_hidden(self) -> None:
        while True:
            await asyncio.sleep(self.visibility.total_seconds() / 3)
            try:
                await self.queue.hide(self.message, self.visibility)
            except TotesysError as error:
                # Another replica may then receive it too, and finds done what is done.
                log.warning(LogEvent.VISIBILITY_EXTENSION_FAILED, error=str(error))

"""One received message: kept hidden from other replicas, then deleted, retried, dead-lettered or released."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from totesys.errors import TotesysError
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import error_fields
from totesys.service.queue import Message, Queue
from totesys.service.retry import GiveUp, after_failure, jitter, severity

log = logger("totesys.service.delivery")

SHORTEST_DELAY = timedelta(seconds=1)
# A service that stops doesn't wait for a queue that is down: the message reappears by itself.
RELEASE_SECONDS = 5.0


@dataclass(frozen=True)
class Delivery:
    """A received message. `visibility` is how long SQS hides it; `max_receives` is when it is given up."""

    queue: Queue
    message: Message
    visibility: timedelta
    max_receives: int

    async def keep_hidden(self) -> None:
        """Extend the visibility timeout until cancelled."""
        while True:
            await asyncio.sleep(self.visibility.total_seconds() / 3)
            try:
                await self.queue.hide(self.message, self.visibility)
            except TotesysError as error:
                # Another replica may then receive the message too, and finds its work done.
                log.warning(LogEvent.VISIBILITY_EXTENSION_FAILED, error=str(error))

    async def settle(self, error: Exception | None) -> None:
        """Delete the message if its work succeeded; else retry it or dead-letter it, as `after_failure` decides.

        Raises TotesysError if the queue refuses. The message then comes again, and finds its work done.
        """
        if error is None:
            await self.queue.delete(self.message)
            log.info(LogEvent.MESSAGE_PROCESSED)
            return
        decision = after_failure(error, self.message.receives, self.max_receives, jitter())
        if isinstance(decision, GiveUp):
            log.error(LogEvent.MESSAGE_FAILED, **error_fields(error), next="dead-letter queue")
            await self.queue.dead_letter(self.message, decision.reason)
        else:
            seconds = round(decision.delay.total_seconds(), 1)
            log.log(severity(error), LogEvent.MESSAGE_FAILED, **error_fields(error), next="again", retry_s=seconds)
            await self.queue.hide(self.message, max(decision.delay, SHORTEST_DELAY))

    async def release(self) -> None:
        """Make the message visible to other replicas now."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self.queue.hide(self.message, timedelta(0))
        except (TotesysError, TimeoutError) as error:
            following = "it becomes visible when its visibility timeout ends"
            log.warning(LogEvent.MESSAGE_RELEASE_FAILED, error=str(error), next=following)
        else:
            log.info(LogEvent.MESSAGE_RELEASED)

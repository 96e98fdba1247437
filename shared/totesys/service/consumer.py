"""The consumer: receives one message at a time and has the stage do its work."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Generic, TypeVar

from structlog.contextvars import bound_contextvars

from totesys.errors import LakeUnavailable, TerminalError, TotesysError, TransientError
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import error_fields, safe_message
from totesys.service.background import Background
from totesys.service.delivery import Delivery
from totesys.service.queue import Message, Queue
from totesys.service.readiness import check_dependencies
from totesys.service.retry import back_off, jitter, severity
from totesys.service.stage_protocol import Stage
from totesys.service_settings import ServiceSettings
from totesys.triggers import Trigger, parse_message

log = logger("totesys.service.consumer")

T = TypeVar("T", bound=Trigger)

# After the queue itself failed.
PAUSE = timedelta(seconds=1)
# The longest time between two checks of a dependency that is down.
LONGEST_WAIT = timedelta(seconds=10)
# How much longer than its own wait a poll may take.
POLL_MARGIN = timedelta(seconds=10)
# After this many unanswered polls, while the queue answers otherwise, this process is at fault.
SILENT_POLLS = 2
# A shorter poll may miss messages: it asks some of SQS's servers only.
LAST_POLL = timedelta(seconds=1)
HEARTBEAT = timedelta(seconds=5)


class Consumer(Generic[T]):
    """Receives messages one at a time. For each, the stage does what the message asks and all that is pending.

    It receives nothing while a dependency is down, so that an outage uses up none of a message's receives. A stage with
    a default trigger also works at start-up, after an outage, and when no message has come for `resync`: that makes up
    for lost events.
    """

    def __init__(
        self, queue: Queue, stage: Stage[T], kind: type[T], settings: ServiceSettings, background: Background
    ) -> None:
        self._queue = queue
        self._stage = stage
        self._kind = kind
        self._settings = settings
        self._background = background
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._dependencies_answer = False
        self._waits_for: Mapping[str, str] = {}
        self._last_failure = ""
        self._failures = 0
        self._next_reconciliation = math.inf if stage.default_trigger is None else 0.0
        self._last_sign = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to receive, in a task of its own."""
        self._task = self._background.start("consumer", self._run, may_end=self._stopping.is_set)

    async def drain(self) -> bool:
        """Work on every waiting message, or on the default trigger if there is none. Whether all of it succeeded."""
        if down := await self._dependencies_down():
            log.error(LogEvent.DEPENDENCIES_UNAVAILABLE, dependencies=down, waited_s=0.0)
            return False
        succeeded, messages = True, 0
        try:
            while not self._stopping.is_set() and (
                message := await self._queue.receive(LAST_POLL, self._settings.visibility)
            ):
                await self._process(message)
                messages, succeeded = messages + 1, succeeded and not self._last_failure
        except TotesysError as error:
            log.error(LogEvent.QUEUE_FAILED, **error_fields(error))
            return False
        if messages:
            return succeeded
        failure = await self._attempt(None)
        if failure is not None:
            log.error(LogEvent.RECONCILIATION_FAILED, **error_fields(failure), next="at the next start")
        return failure is None

    def stop_receiving(self) -> None:
        """Receive no further message. Work in progress goes on."""
        self._stopping.set()

    async def stop(self, grace: timedelta) -> None:
        """Receive no further message. Cancel work that is still in progress after `grace`, and release its message."""
        self.stop_receiving()
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
        if silent > SILENT_POLLS * (self._settings.long_poll + POLL_MARGIN).total_seconds():
            return f"no poll has been answered for {silent:.0f} s, and no work is in progress"
        return None

    @property
    def working(self) -> bool:
        """Whether work is in progress."""
        return not self._idle.is_set()

    @property
    def waits_for(self) -> Mapping[str, str]:
        """The dependencies that are down, such as `warehouse`, each with its error; usually none."""
        return self._waits_for

    @property
    def last_failure(self) -> str:
        """Why the last work failed; empty after a success."""
        return self._last_failure

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - no error may end the consumer
                log.warning(LogEvent.QUEUE_FAILED, **error_fields(error))
                self._dependencies_answer = False
                await self._pause(PAUSE.total_seconds())
            finally:
                self._idle.set()

    async def _turn(self) -> None:
        if not self._dependencies_answer:
            await self._wait_for_dependencies()
        if self._stopping.is_set():
            return
        if time.monotonic() >= self._next_reconciliation:
            await self._reconcile()
        elif message := await self._poll():
            await self._process(message)

    async def _poll(self) -> Message | None:
        remaining = max(0.0, self._next_reconciliation - time.monotonic())
        seconds = math.ceil(min(self._settings.long_poll.total_seconds(), remaining))
        try:
            async with asyncio.timeout(seconds + POLL_MARGIN.total_seconds()):
                message = await self._queue.receive(timedelta(seconds=seconds), self._settings.visibility)
        except TimeoutError:
            raise LakeUnavailable(f"{self._queue.url} has not answered a poll of {seconds} s.") from None
        self._last_sign = time.monotonic()
        return message

    async def _process(self, message: Message) -> None:
        self._idle.clear()
        delivery = Delivery(self._queue, message, self._settings.visibility, self._settings.max_receives)
        if self._stopping.is_set():
            await delivery.release()
            return
        with bound_contextvars(message_id=message.id, receives=message.receives):
            try:
                async with self._background.during("visibility", delivery.keep_hidden):
                    error = await self._attempt(message)
            except asyncio.CancelledError:
                await delivery.release()
                raise
            await delivery.settle(error)

    async def _reconcile(self) -> None:
        """Work on the default trigger. A failure is retried like a message's, but leaves no dead letter."""
        self._idle.clear()
        error = await self._attempt(None)
        if error is None:
            return
        self._failures += 1
        delay = self._settings.resync if isinstance(error, TerminalError) else back_off(self._failures, jitter())
        self._schedule_reconciliation(delay)
        log.log(
            severity(error),
            LogEvent.RECONCILIATION_FAILED,
            **error_fields(error),
            next="again",
            retry_s=round(delay.total_seconds(), 1),
        )

    async def _attempt(self, message: Message | None) -> Exception | None:
        """Have the stage work for a message, or else on its default trigger. Returns the error if that failed."""
        try:
            trigger = self._stage.default_trigger if message is None else self._parse(message)
            if trigger is None:
                return None
            async with self._heartbeat():
                await self._stage.work(trigger)
        except Exception as error:  # noqa: BLE001 - no error may end the consumer; the caller logs it
            self._last_failure = safe_message(error)
            self._dependencies_answer = not isinstance(error, TransientError)
            return error
        self._failures, self._last_failure = 0, ""
        self._schedule_reconciliation(self._settings.resync)
        return None

    def _parse(self, message: Message) -> T | None:
        trigger = parse_message(message.body, self._kind)
        return trigger and trigger.of_message(message.id)

    def _schedule_reconciliation(self, delay: timedelta) -> None:
        if self._stage.default_trigger is not None:
            self._next_reconciliation = time.monotonic() + delay.total_seconds()

    async def _wait_for_dependencies(self) -> None:
        """Wait until every dependency answers, or until the service stops."""
        started, checks = time.monotonic(), 0
        while down := await self._dependencies_down():
            self._waits_for = down
            delay = back_off(checks, jitter(), LONGEST_WAIT).total_seconds()
            waited = round(time.monotonic() - started, 1)
            log.warning(LogEvent.DEPENDENCIES_UNAVAILABLE, dependencies=down, waited_s=waited, retry_s=round(delay, 1))
            await self._pause(delay)
            if self._stopping.is_set():
                return
            checks += 1
        self._dependencies_answer, self._waits_for = True, {}
        if checks:
            log.info(LogEvent.DEPENDENCIES_RECOVERED)
            # What happened meanwhile may have no message, or one that is hidden for some time.
            self._schedule_reconciliation(timedelta(0))

    async def _dependencies_down(self) -> dict[str, str]:
        answers = await check_dependencies(self._queue, self._stage)
        down = {name: str(error) for name, error in answers.items() if error is not None}
        if down:
            # Known, and reported by /health/ready: a new process would fare no better.
            self._last_sign = time.monotonic()
        return down

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    @asynccontextmanager
    async def _heartbeat(self) -> AsyncIterator[None]:
        """Show life while the block works: only its own timeouts bound it."""

        async def beat() -> None:
            while True:
                self._last_sign = time.monotonic()
                await asyncio.sleep(HEARTBEAT.total_seconds())

        async with self._background.during("heartbeat", beat):
            yield

"""The consumer: receives a wake-up, has the stage work, and is not put off by what is down or lost."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, wait_random_exponential

from totesys.errors import LakeUnavailable, TerminalError, TotesysError, TransientError, to_trace
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import safe_message
from totesys.service.background import Background
from totesys.service.delivery import Delivery
from totesys.service.queue import Message, Queue
from totesys.service.readiness import ask
from totesys.service.retry import back_off, jitter
from totesys.service.stage_protocol import Stage
from totesys.service_settings import ServiceSettings
from totesys.triggers import Trigger, parse_message

log = logger("totesys.service.consumer")

W = TypeVar("W", bound=Trigger)

# After the queue itself could not be asked.
PAUSE = timedelta(seconds=1)
# A dependency that is down is asked again so often at the least.
LONGEST_WAIT = timedelta(seconds=10)
# What a poll may take longer than it was asked to wait.
POLL_MARGIN = timedelta(seconds=10)
# So many polls in turn may get no answer while the queue itself says that it is there: then it is this process.
SILENT_POLLS = 2
HEARTBEAT = timedelta(seconds=5)


class Consumer(Generic[W]):
    """One message at a time: whatever it says, the stage then does all that is undone.

    No message is received while a dependency is down, so that an outage uses up none of a message's receives. A
    stage that can work `unprompted` does so at the start, after an outage, and when no message has come for
    `resync`: an event that is lost is made up for.
    """

    def __init__(
        self, queue: Queue, stage: Stage[W], wakeup: type[W], settings: ServiceSettings, background: Background
    ) -> None:
        self._queue = queue
        self._stage = stage
        self._wakeup = wakeup
        self._settings = settings
        self._background = background
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_doubt = True
        self._waits_for: Mapping[str, str] = {}
        self._last_failure = ""
        self._failures = 0
        self._next_pass = math.inf if stage.unprompted is None else 0.0
        self._last_sign = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to receive, in a task of its own."""
        self._task = self._background.start("consumer", self._run, may_end=self._stopping.is_set)

    def receive_no_more(self) -> None:
        """Take no further message; what is at work goes on."""
        self._stopping.set()

    async def stop(self, grace: timedelta) -> None:
        """Receive no more. Work at hand has `grace` to end; else it is broken off and its message given back."""
        self.receive_no_more()
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
            return f"no poll has been answered for {silent:.0f} s, and nothing is at work"
        return None

    @property
    def working(self) -> bool:
        """Whether the stage is at work, for a message or without one."""
        return not self._idle.is_set()

    @property
    def waits_for(self) -> Mapping[str, str]:
        """What does not answer and is waited for, such as `warehouse`, each with its fault; mostly nothing."""
        return self._waits_for

    @property
    def last_failure(self) -> str:
        """Why the last work failed; empty once some has succeeded."""
        return self._last_failure

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._turn()
            except Exception as error:
                trace = to_trace(error)
                log.warning(LogEvent.QUEUE_FAILED, error=safe_message(error), kind=type(error).__name__, exc_info=trace)
                self._in_doubt = True
                await self._pause(PAUSE.total_seconds())
            finally:
                self._idle.set()

    async def _turn(self) -> None:
        if self._in_doubt:
            await self._until_ready()
        if self._stopping.is_set():
            return
        if time.monotonic() >= self._next_pass:
            await self._pass()
        elif message := await self._poll():
            self._idle.clear()
            await self._deliver(message)

    async def _poll(self) -> Message | None:
        until_pass = max(0.0, self._next_pass - time.monotonic())
        seconds = math.ceil(min(self._settings.long_poll.total_seconds(), until_pass))
        try:
            async with asyncio.timeout(seconds + POLL_MARGIN.total_seconds()):
                message = await self._queue.receive(timedelta(seconds=seconds), self._settings.visibility)
        except TimeoutError:
            raise LakeUnavailable(f"{self._queue.url} has not answered a poll of {seconds} s.") from None
        self._last_sign = time.monotonic()
        return message

    async def _deliver(self, message: Message) -> None:
        delivery = Delivery(
            self._queue, message, self._settings.visibility, self._settings.max_receives, self._background
        )
        if self._stopping.is_set():
            await delivery.give_back()
            return
        async with self._signs_of_life():
            error = await delivery.handle(partial(self._work, message.id))
        self._in_doubt = isinstance(error, TransientError)
        self._last_failure = safe_message(error) if error else self._last_failure

    async def _work(self, message_id: str, body: str) -> None:
        wakeup = parse_message(body, self._wakeup)
        if wakeup is not None:
            await self._stage.work(wakeup.of_message(message_id))
            self._all_done()

    async def _pass(self) -> None:
        """Work without a message. A failure is tried again like a message's, but is nobody's dead letter."""
        assert self._stage.unprompted is not None
        self._idle.clear()
        try:
            async with self._signs_of_life():
                await self._stage.work(self._stage.unprompted)
        except Exception as error:  # noqa: BLE001 - as in a delivery
            self._failures += 1
            self._last_failure = safe_message(error)
            self._in_doubt = isinstance(error, TransientError)
            again = self._settings.resync if isinstance(error, TerminalError) else back_off(self._failures, jitter())
            self._pass_after(again)
            trace = to_trace(error)
            level = log.warning if isinstance(error, TransientError) else log.error
            fields = {"error": safe_message(error), "kind": type(error).__name__}
            level("pass failed", **fields, next="again", after_seconds=round(again.total_seconds(), 1), exc_info=trace)
        else:
            self._all_done()

    def _all_done(self) -> None:
        self._failures, self._last_failure = 0, ""
        self._pass_after(self._settings.resync)

    def _pass_after(self, delay: timedelta) -> None:
        if self._stage.unprompted is not None:
            self._next_pass = time.monotonic() + delay.total_seconds()

    async def _until_ready(self) -> None:
        """Wait until all that the service depends on answers, or until it is to stop."""
        asks = AsyncRetrying(
            sleep=self._pause,
            retry=retry_if_result(bool),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT),
            stop=lambda _: self._stopping.is_set(),
            before_sleep=self._say_waiting,
            retry_error_callback=lambda _: {},
        )
        await asks(self._faults)
        self._in_doubt, self._waits_for = False, {}
        if asks.statistics["attempt_number"] > 1:
            log.info(LogEvent.DEPENDENCIES_RECOVERED)
            # What happened meanwhile has perhaps no message, or one that is hidden for some time.
            self._pass_after(timedelta(0))

    async def _faults(self) -> dict[str, TotesysError]:
        answers = await ask(self._queue, self._stage)
        faults = {name: fault for name, fault in answers.items() if fault is not None}
        if faults:
            # Known, and told by /health/ready: no other process would fare better.
            self._last_sign = time.monotonic()
        return faults

    def _say_waiting(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        self._waits_for = faults = {name: str(error) for name, error in state.outcome.result().items()}
        since = round(time.monotonic() - state.start_time, 1)
        again = round(state.upcoming_sleep, 1)
        log.warning(LogEvent.DEPENDENCIES_UNAVAILABLE, dependencies=faults, waited_s=since, retry_s=again)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    @asynccontextmanager
    async def _signs_of_life(self) -> AsyncIterator[None]:
        """While the block works it is its own timeouts that bound it."""

        async def beat() -> None:
            while True:
                self._last_sign = time.monotonic()
                await asyncio.sleep(HEARTBEAT.total_seconds())

        async with self._background.during("heartbeat", beat):
            yield

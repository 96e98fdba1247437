"""What goes on in the background of a service, all of it under one supervisor."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from totesys.errors import to_trace
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import safe_message

log = logger("totesys.service.background")

# A task that goes on until it is cancelled.
Task = Callable[[], Coroutine[Any, Any, None]]


def _never() -> bool:
    return False


class Background:
    """The background tasks of a service. One that ends unbidden is logged with its error, and is a fault from then on.

    It isn't begun again: nobody knows what it has left behind. Whoever reads `/health` replaces the process.
    """

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}

    @property
    def fault(self) -> str | None:
        """Which task is dead and why; None if each is alive. The log says more."""
        return next(iter(self._faults.values()), None)

    def start(self, name: str, task: Task, may_end: Callable[[], bool] = _never) -> "asyncio.Task[None]":
        """Begin a task; once `may_end` holds, it may end by itself."""
        return asyncio.create_task(self._supervise(name, task, may_end), name=name)

    @asynccontextmanager
    async def during(self, name: str, task: Task) -> AsyncIterator[None]:
        """Have a task go on while the block does."""
        started = self.start(name, task)
        try:
            yield
        finally:
            started.cancel()
            await asyncio.wait([started])

    async def _supervise(self, name: str, task: Task, may_end: Callable[[], bool]) -> None:
        try:
            await task()
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            # Nobody has cancelled this one: something that it waited for was.
            self._died(name, error, None)
        except Exception as error:  # noqa: BLE001 - each is logged, and is a fault
            self._died(name, error, to_trace(error))
        else:
            if not may_end():
                self._died(name, None, None)

    def _died(self, name: str, error: BaseException | None, trace: Exception | None) -> None:
        kind = type(error).__name__ if error else "no error"
        self._faults[name] = f"the background task {name!r} has ended ({kind}); the service's log says more"
        log.error(
            LogEvent.BACKGROUND_TASK_ENDED,
            task=name,
            error=safe_message(error) if error else "",
            kind=kind,
            exc_info=trace,
        )

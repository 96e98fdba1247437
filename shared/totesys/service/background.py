"""The background tasks of a service, under one supervisor."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.redaction import error_fields

log = logger("totesys.service.background")

# A task that runs until it is cancelled.
Task = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The background tasks of a service. One that ends by itself is logged, and is a fault from then on.

    It isn't restarted, because its state is unknown: `/health` answers 503, and the supervisor replaces the process.
    """

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}

    @property
    def fault(self) -> str | None:
        """Which task is dead and why; None if all are alive."""
        return next(iter(self._faults.values()), None)

    def start(self, name: str, task: Task, may_end: Callable[[], bool] = lambda: False) -> "asyncio.Task[None]":
        """Start a task. It may end by itself once `may_end` returns true."""
        return asyncio.create_task(self._supervise(name, task, may_end), name=name)

    @asynccontextmanager
    async def during(self, name: str, task: Task) -> AsyncIterator[None]:
        """Run a task during the block."""
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
            # This task was not cancelled: something that it waited for was.
            self._report_end(name, error)
        except Exception as error:  # noqa: BLE001 - logged, and reported as a fault
            self._report_end(name, error)
        else:
            if not may_end():
                self._report_end(name, None)

    def _report_end(self, name: str, error: BaseException | None) -> None:
        fields = error_fields(error) if error else {"error": "", "kind": "no error", "exc_info": None}
        self._faults[name] = f"the background task {name!r} has ended ({fields['kind']}); see the service's log"
        log.error(LogEvent.BACKGROUND_TASK_ENDED, task=name, **fields)

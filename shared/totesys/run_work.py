"""A stage's work on a run, reported to whatever observes it when it begins and when it ends."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid4

from totesys.redaction import safe_message

State = Literal["START", "COMPLETE", "FAIL", "ABORT"]


@dataclass
class RunWork:
    """One attempt of a stage on a run. The stage sets `rows`, by table, before it ends."""

    stage: str
    run: int
    state: State = "START"
    rows: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    id: UUID = field(default_factory=uuid4)

    def end(self, error: BaseException | None = None) -> None:
        """Report the end: a success, or the error. Ignores all calls but the first."""
        if self.state != "START":
            return
        self.state = "COMPLETE" if error is None else "ABORT" if isinstance(error, asyncio.CancelledError) else "FAIL"
        self.error = safe_message(error) if isinstance(error, Exception) else ""
        _report(self)


_observers: list[Callable[[RunWork], None]] = []


def begin(stage: str, run: int) -> RunWork:
    """Report that a stage begins to work on a run."""
    work = RunWork(stage, run)
    _report(work)
    return work


@contextmanager
def observing(observer: Callable[[RunWork], None]) -> Iterator[None]:
    """Call the observer at each begin and end during the block."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _report(work: RunWork) -> None:
    for observer in _observers:
        observer(work)

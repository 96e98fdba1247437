"""Ctrl-C and SIGTERM end a command in order."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from totesys_cli.command_errors import INTERRUPTED

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; exits with INTERRUPTED if a signal ends it first."""
    return _run(work, code=INTERRUPTED)


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until a signal ends `work`."""
    _run(work, code=0)


def _run(work: Coroutine[Any, Any, T], *, code: int) -> T:
    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        sys.exit(code)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Delay both signals until the end of the block, so that the effects of an AWS call in it are recorded."""
    arrived: list[int] = []
    # A mask of this thread's signals would not help: libraries have threads of their own, which would take them.
    before = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt

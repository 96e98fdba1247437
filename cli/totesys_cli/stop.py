"""The end of a command by a signal, in order."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from totesys_cli.errors import INTERRUPTED


def run_until_stopped(work: Coroutine[Any, Any, None], *, has_end: bool = False) -> None:
    """Run until it ends, or until Ctrl-C or SIGTERM, which end it in order: too early if it `has_end` of its own."""

    async def stoppable() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await work

    try:
        asyncio.run(stoppable())
    except asyncio.CancelledError:
        if has_end:
            sys.exit(INTERRUPTED)

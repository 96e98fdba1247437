"""Whether all that a service depends on answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from totesys.errors import DatabaseUnavailable, LakeUnavailable, TotesysError, TransientError
from totesys.service.queue import Queue
from totesys.service.stage_protocol import Stage

# Shorter than whoever asks waits for the answer.
ASK_SECONDS = 5.0


async def ask(queue: Queue, stage: Stage[Any]) -> dict[str, TotesysError | None]:
    """Ask the queue, the lake and the stage's database at the same time; the fault of each, None if it answers."""
    async with asyncio.TaskGroup() as tasks:
        asked = {
            "queue": tasks.create_task(_fault("queue", queue.check, LakeUnavailable)),
            "lake": tasks.create_task(_fault("lake", stage.lake.check, LakeUnavailable)),
        }
        if stage.database is not None:
            asked[stage.database] = tasks.create_task(_fault(stage.database, stage.check, DatabaseUnavailable))
    return {name: task.result() for name, task in asked.items()}


async def _fault(name: str, check: Callable[[], Awaitable[None]], silent: type[TransientError]) -> TotesysError | None:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await check()
    except TotesysError as error:
        return error
    except TimeoutError:
        return silent(f"The {name} does not answer within {ASK_SECONDS:g} s. Check that it can be reached.")
    return None

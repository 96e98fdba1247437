"""Whether everything that a service depends on answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from totesys.errors import DatabaseUnavailable, LakeUnavailable, TotesysError, TransientError
from totesys.service.queue import Queue
from totesys.service.stage_protocol import Stage

# Shorter than the health checks that wait for the answer.
CHECK_SECONDS = 5.0


async def check_dependencies(queue: Queue, stage: Stage[Any]) -> dict[str, TotesysError | None]:
    """Check the queue, the lake and the stage's database at once. Each has its error, or None if it answers."""
    checks = {
        "queue": _check("queue", queue.check, LakeUnavailable),
        "lake": _check("lake", stage.lake.check, LakeUnavailable),
    }
    if stage.database is not None:
        checks[stage.database] = check_database(stage)
    return dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))


async def check_database(stage: Stage[Any]) -> TotesysError | None:
    """Check the stage's database, if it has one. Returns the error; None if it answers."""
    return await _check(stage.database or "database", stage.check, DatabaseUnavailable)


async def _check(name: str, check: Callable[[], Awaitable[None]], silent: type[TransientError]) -> TotesysError | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TotesysError as error:
        return error
    except TimeoutError:
        return silent(f"The {name} does not answer within {CHECK_SECONDS:g} s. Check that it can be reached.")
    return None

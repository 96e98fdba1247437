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
    checks: dict[str, tuple[Callable[[], Awaitable[None]], type[TransientError]]] = {
        "queue": (queue.check, LakeUnavailable),
        "lake": (stage.lake.check, LakeUnavailable),
    }
    if stage.database is not None:
        checks[stage.database] = (stage.check, DatabaseUnavailable)
    errors = await asyncio.gather(*(_check(name, *check) for name, check in checks.items()))
    return dict(zip(checks, errors, strict=True))


async def _check(name: str, check: Callable[[], Awaitable[None]], silent: type[TransientError]) -> TotesysError | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TotesysError as error:
        return error
    except TimeoutError:
        return silent(f"The {name} does not answer within {CHECK_SECONDS:g} s. Check that it can be reached.")
    return None

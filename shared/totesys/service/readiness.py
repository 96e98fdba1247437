"""Whether what a service depends on answers."""

from typing import Any

from totesys.errors import TotesysError
from totesys.service.queue import Queue
from totesys.service.stage import Stage


async def ask(queue: Queue, stage: Stage[Any]) -> dict[str, str | TotesysError]:
    """Each dependency with `ok` or its fault."""
    answers: dict[str, str | TotesysError] = {}
    for name, check in {"queue": queue.check, "lake": stage.lake.check, "database": stage.check}.items():
        try:
            await check()
            answers[name] = "ok"
        except TotesysError as error:
            answers[name] = error
    return answers

"""The queues of all three services, found from the one that a service is told of."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from totesys.errors import TotesysError
from totesys.service.queue import DeadLetter, Depth, Queue
from totesys.stage_names import STAGES
from totesys_console.patience import in_time

# A page does not wait longer for what it can do without.
ASK_SECONDS = 3.0
# Long enough to send and delete ten; short enough for who only looks.
TO_ACT = timedelta(seconds=60)
TO_LOOK = timedelta(seconds=1)
# A press of the button sends back so many at the most.
MOST_REVIVED = 500


@dataclass(frozen=True)
class QueueState:
    """A service's queue and its dead-letter queue, or why they are not known. `down`: they do not answer now."""

    waiting: Depth | None = None
    dead: Depth | None = None
    fault: str = ""
    down: bool = False


@dataclass(frozen=True)
class Queues:
    """The queues by stage. Their names are the data plane's: `{name}-{stage}`, and `-dlq` after that."""

    by_stage: Mapping[str, Queue]

    async def states(self) -> dict[str, QueueState]:
        """The state of each stage's queues, asked at the same time."""
        states = await asyncio.gather(*(self._state(stage) for stage in STAGES))
        return dict(zip(STAGES, states, strict=True))

    async def _state(self, stage: str) -> QueueState:
        if stage not in self.by_stage:
            return QueueState(fault=f"This service cannot tell where {stage}'s queue is.")
        try:
            async with in_time(f"The queue of {stage}", ASK_SECONDS):
                waiting, dead = await self.by_stage[stage].depths()
        except TotesysError as error:
            return QueueState(fault=str(error), down=error.transient)
        return QueueState(waiting, dead)


def all_queues(stage: str, own: Queue) -> Queues:
    """All three, by the names of the `stage`'s own; only this one where it is not named as the data plane does."""
    found = {stage: own}
    for other in STAGES:
        url, dlq_url = _renamed(own.url, stage, other, ""), _renamed(own.dlq_url, stage, other, "-dlq")
        if other != stage and url and dlq_url:
            found[other] = own.sibling(url, dlq_url)
    return Queues(found)


def _renamed(url: str, stage: str, other: str, suffix: str) -> str | None:
    ending = f"-{stage}{suffix}"
    return f"{url.removesuffix(ending)}-{other}{suffix}" if url.endswith(ending) else None


async def look(queue: Queue) -> list[DeadLetter]:
    """A few of the dead letters, which stay where they are."""
    return await queue.dead_letters(10, TO_LOOK)


async def redrive(queue: Queue) -> int:
    """Send back as many dead letters as there are now, at most MOST_REVIVED; how many.

    One that fails again at once is a new one, and stays.
    """
    _, dead = await queue.depths()
    wanted, revived = min(max(1, dead.waiting), MOST_REVIVED), 0
    while revived < wanted:
        letters = await queue.dead_letters(wanted - revived, TO_ACT)
        for letter in letters:
            await queue.redrive(letter)
        if not letters:
            break
        revived += len(letters)
    return revived

"""The queues of all three stages, found from the one that a service is configured with."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from totesys.aws_client import answered
from totesys.errors import TotesysError
from totesys.service.queue import DeadLetter, Depth, Queue
from totesys.stage_names import STAGES

# A page doesn't wait longer for the queues, without which it can do.
ANSWER_SECONDS = 3.0
# Long enough to send ten letters and delete them.
TO_HANDLE = timedelta(seconds=60)
# What is only shown is not hidden from others.
TO_SHOW = timedelta(0)
# The most dead letters of one action.
MOST_HANDLED = 500
_TRIES = re.compile(r" \(tried \d+ times\)$")
# Of dead letters that SQS moved.
NO_REASON = "The message was received too often, and the service never finished its work."

_Known: TypeAlias = Mapping[str, DeadLetter]


@dataclass(frozen=True)
class FailureReason:
    """Dead letters with the same reason: how many there are, and when those that are known were sent, in order."""

    text: str
    letters: int
    times: tuple[datetime, ...]

    @property
    def last(self) -> datetime:
        return self.times[-1]

    def since(self, time: datetime) -> "FailureReason | None":
        """Only the letters sent after `time`; None if there are none."""
        times = tuple(one for one in self.times if one > time)
        return self if times == self.times else FailureReason(self.text, len(times), times) if times else None


@dataclass(frozen=True)
class QueueState:
    """The queue and the dead-letter queue of a stage, or why they are unknown. `down`: they do not answer now.

    `reasons` are those of the dead letters, the newest first.
    """

    waiting: Depth | None = None
    dead: Depth | None = None
    reasons: tuple[FailureReason, ...] = ()
    fault: str = ""
    down: bool = False

    @property
    def dead_letters(self) -> int | None:
        """The number of dead letters; None if it is unknown."""
        return self.dead.waiting + self.dead.in_flight if self.dead else None


class StageQueues:
    """The queues by stage, named as the data plane names them: `{name}-{stage}`, with `-dlq` for dead letters.

    Remembers the dead letters that it has seen: SQS shows only some of them at a time.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Known] = {}

    async def states(self, stage: str, own: Queue) -> dict[str, QueueState]:
        """The state of each stage's queues, as seen from the queue of `stage`."""
        queues = find_queues(stage, own)
        states = await asyncio.gather(*(self._state(name, queues.get(name)) for name in STAGES))
        return dict(zip(STAGES, states, strict=True))

    async def _state(self, stage: str, queue: Queue | None) -> QueueState:
        if queue is None:
            return QueueState(fault=f"This service does not know the queue of {stage}.")
        try:
            async with answered(f"The queue of {stage}", ANSWER_SECONDS):
                waiting, dead = await queue.depths()
                count = dead.waiting + dead.in_flight
                found = await queue.dead_letters(10, TO_SHOW) if dead.waiting else []
        except TotesysError as error:
            return QueueState(fault=str(error), down=error.transient)
        self._seen[stage] = seen = remember(self._seen.get(stage, {}), found, count)
        return QueueState(waiting, dead, reasons(seen.values(), count))


def remember(known: _Known, found: Sequence[DeadLetter], count: int) -> _Known:
    """The dead letters that are known of `count`: those of before too, unless some of them must be gone."""
    new = {letter.id: letter for letter in found}
    both = {**known, **new}
    return both if len(both) <= count else new


def reasons(letters: Iterable[DeadLetter], count: int) -> tuple[FailureReason, ...]:
    """The letters by reason, the newest first. A reason that all known letters share is taken for all `count`."""
    groups: dict[str, list[datetime]] = {}
    for letter in letters:
        groups.setdefault(_TRIES.sub("", letter.reason or NO_REASON), []).append(letter.sent)
    only = count if len(groups) == 1 else 0
    found = [FailureReason(text, max(only, len(sent)), tuple(sorted(sent))) for text, sent in groups.items()]
    return tuple(sorted(found, key=lambda reason: reason.last, reverse=True))


def find_queues(stage: str, own: Queue) -> dict[str, Queue]:
    """The queues of all stages, by the name of the `stage`'s own; only this one if its name doesn't end as expected."""
    found = {stage: own}
    for other in STAGES:
        url, dlq_url = _renamed(own.url, stage, other, ""), _renamed(own.dlq_url, stage, other, "-dlq")
        if other != stage and url and dlq_url:
            found[other] = own.sibling(url, dlq_url)
    return found


def _renamed(url: str, stage: str, other: str, suffix: str) -> str | None:
    ending = f"-{stage}{suffix}"
    return f"{url.removesuffix(ending)}-{other}{suffix}" if url.endswith(ending) else None


async def each_dead_letter(queue: Queue, act: Callable[[DeadLetter], Awaitable[None]], ids: Collection[str]) -> int:
    """Act on the dead letters with these ids, on all that there are now without ids. Returns how many.

    At most MOST_HANDLED. One that fails again meanwhile is a new dead letter, and stays.
    """
    _, dead = await queue.depths()
    left = min(max(1, dead.waiting), MOST_HANDLED)
    done, others = 0, []
    try:
        while left > 0 and (not ids or done < len(ids)):
            letters = await queue.dead_letters(left, TO_HANDLE)
            for letter in letters:
                if ids and letter.id not in ids:
                    others.append(letter)
                    continue
                await act(letter)
                done += 1
            if not letters:
                break
            left -= len(letters)
    finally:
        for letter in others:
            await queue.release(letter)
    return done

"""Sends triggers to a stage, and notices if it gives one up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from totesys.service.queue import Queue
from totesys.stage_names import Stage
from totesys.triggers import Trigger
from totesys_cli.command_errors import StageFailed
from totesys_cli.data_plane_clients import queue_at
from totesys_cli.dead_letters.dead_letter_queues import find_given_up
from totesys_cli.options import DataPlaneLocation

_POLL_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class TriggerSender:
    """The queue of a stage, and the ids of the messages sent to it."""

    location: DataPlaneLocation
    stage: Stage
    queue: Queue
    message_ids: set[str] = field(default_factory=set)

    async def send(self, trigger: Trigger) -> str:
        """Send a trigger; the id of its message."""
        message_id = await self.queue.send(trigger.model_dump_json(exclude_none=True))
        self.message_ids.add(message_id)
        return message_id

    async def unless_given_up(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns, which sends and waits.

        Raises StageFailed once one of its messages is in the dead-letter queue, with the reason.
        """
        watching = asyncio.create_task(self._watch(await self._dead_letters()))
        working = asyncio.create_task(work())
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                watching.result()
            return await working
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.wait((working, watching))

    async def _watch(self, before: int) -> None:
        """Raise StageFailed once a message is given up; `before` dead letters existed when the call began."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if await self._dead_letters() in (0, before):
                continue
            if letter := await asyncio.to_thread(find_given_up, self.location, self.stage, self.message_ids):
                reason = (letter.reason or "SQS moved it after too many receives").rstrip(".")
                raise StageFailed(
                    f"{self.stage} gave the message up: {reason}. Fix the cause, then redrive it: "
                    f"`totesys dlq redrive {self.stage} --id {letter.id}`."
                )

    async def _dead_letters(self) -> int:
        _, dead = await self.queue.depths()
        return dead.waiting + dead.in_flight


@asynccontextmanager
async def trigger_sender(location: DataPlaneLocation, stage: Stage) -> AsyncIterator[TriggerSender]:
    """The sender for a stage. Raises as `queue_at` does."""
    async with queue_at(location, stage) as queue:
        yield TriggerSender(location, stage, queue)

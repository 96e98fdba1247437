"""What a page is made of, gathered from the lake, the queues and this service at one moment."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from totesys.errors import TotesysError
from totesys.lake.keys import intervals_back
from totesys.lake.records import VerificationRecord
from totesys.lake.store import Lake
from totesys.service.running import Running
from totesys.service.runs import RunDetail, describe
from totesys_console.patience import in_time
from totesys_console.run_cache import Listed, Records
from totesys_console.stage_queues import QueueState, all_queues
from totesys_console.visible_runs import History, Recent

T = TypeVar("T")

PAGE = 20
# An extraction of everything is cut into many runs: of so many the progress is known.
MOST_AT_WORK = 100


@dataclass(frozen=True)
class LakeFacts:
    """What the lake says of runs.

    `newest` are the runs that are at work with those of their snapshots, or the last ones; `shown` are those of the
    page asked for.
    """

    last: int = 0
    shown: tuple[RunDetail, ...] = ()
    newest: tuple[RunDetail, ...] = ()
    recent: Recent = field(default_factory=Recent)


@dataclass(frozen=True)
class ConsumerFacts:
    """What this service itself is at: `busy` at work, `waits_for` what does not answer, `fault` why it is not alive.

    `failure` is why its last work failed, if none has succeeded since.
    """

    busy: bool = False
    waits_for: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Facts:
    """The pipeline at `now`, as the service `service` sees it, with the runs below run `before`.

    What could not be asked says why in its fault, and is as empty as if there were nothing.
    """

    service: str
    now: datetime
    lake: LakeFacts = field(default_factory=LakeFacts)
    lake_fault: str = ""
    verification: VerificationRecord | None = None
    verification_fault: str = ""
    queues: Mapping[str, QueueState] = field(default_factory=dict)
    own: ConsumerFacts = field(default_factory=ConsumerFacts)
    before: int | None = None


class Memory:
    """What a service remembers of the lake between two looks at the page."""

    def __init__(self) -> None:
        self.records = Records()
        self.history = History()
        self._looking = asyncio.Lock()

    async def facts(self, service: str, running: Running[Any], before: int | None) -> Facts:
        """Everything that the page shows, as far as it can be asked."""
        lake, now = running.stage.lake, datetime.now(UTC)
        (runs, lake_fault), (verifications, verification_fault), queues = await asyncio.gather(
            _or_fault(self._runs(lake, now, before)),
            _or_fault(lake.verifications(1)),
            all_queues(service, running.queue).states(),
        )
        consumer = running.consumer
        return Facts(
            service=service,
            now=now,
            lake=runs or LakeFacts(),
            lake_fault=lake_fault,
            verification=next(iter(verifications or ()), None),
            verification_fault=verification_fault,
            queues=queues,
            own=ConsumerFacts(consumer.working, consumer.waits_for, consumer.fault or "", consumer.last_failure),
            before=before,
        )

    async def _runs(self, lake: Lake, now: datetime, before: int | None) -> LakeFacts:
        # Two that look at once do not read the same twice.
        async with self._looking:
            counter = await lake.counter()
            last = counter.last if counter else 0
            recent = await self.history.recent(lake, self.records, last, now)
            first_undone = recent.undone[0].run if recent.undone else last + 1
            at_work = max(PAGE, min(MOST_AT_WORK, last - first_undone + 1))
            newest = await self.runs(lake, last, at_work)
            upper = min(last, before - 1) if before else last
            shown = newest[:PAGE] if upper == last else await self.runs(lake, upper, PAGE)
        return LakeFacts(last, shown, newest, recent)

    async def runs(self, lake: Lake, upto: int, most: int) -> tuple[RunDetail, ...]:
        """The newest runs up to `upto`, newest first."""
        listed: list[Listed] = []
        for first, last in intervals_back(upto, most):
            listed += reversed(await self.records.listed(lake, first, last))
            if len(listed) >= most:
                break
        return await self._described(lake, listed[:most])

    async def run(self, lake: Lake, run: int) -> RunDetail | None:
        """The run of this number; None if ingest committed none."""
        return next(iter(await self._described(lake, await self.records.listed(lake, run - 1, run))), None)

    async def _described(self, lake: Lake, listed: Iterable[Listed]) -> tuple[RunDetail, ...]:
        found = await asyncio.gather(*(self.records.run(lake, one) for one in listed))
        return tuple(describe(records) for records in found if records is not None)


async def _or_fault(asked: Awaitable[T]) -> tuple[T | None, str]:
    try:
        async with in_time("The lake"):
            return await asked, ""
    except TotesysError as error:
        return None, str(error)

"""What a page is made of, gathered from the lake, the queues and this service at one moment."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from totesys.console.history import History, Recent
from totesys.console.queues import QueueState, all_queues
from totesys.console.records import Records
from totesys.lake.lake import Lake
from totesys.lake.records import VerificationRecord
from totesys.service.running import Running
from totesys.service.runs import RunDetail, describe

PAGE = 20
# An extraction of everything is cut into many runs: of so many the progress is known.
MOST_AT_WORK = 100


@dataclass(frozen=True)
class Facts:
    """The pipeline at `now`, as the service `service` sees it.

    `newest` are the runs that are at work with those of their snapshots, or the last ones; `shown` are those of the
    page below run `before`. `busy` says whether this service is at work.
    """

    service: str
    now: datetime
    last: int = 0
    shown: tuple[RunDetail, ...] = ()
    newest: tuple[RunDetail, ...] = ()
    recent: Recent = field(default_factory=Recent)
    queues: dict[str, QueueState] = field(default_factory=dict)
    verification: VerificationRecord | None = None
    busy: bool = False
    before: int | None = None


class Memory:
    """What a service remembers of the lake between two looks at the page."""

    def __init__(self) -> None:
        self.records = Records()
        self.history = History()
        self._looking = asyncio.Lock()

    async def facts(self, service: str, running: Running[Any], before: int | None) -> Facts:
        """Everything that the page shows. Raises what `lake_errors` says, and CorruptObject."""
        lake, now = running.stage.lake, datetime.now(UTC)
        queues = asyncio.create_task(all_queues(service, running.queue).states())
        verifications = asyncio.create_task(lake.verifications(1))
        try:
            # Two that look at once do not read the same twice.
            async with self._looking:
                counter = await lake.counter()
                last = counter.last if counter else 0
                recent = await self.history.recent(lake, self.records, last, now)
                first_undone = recent.undone[0].run if recent.undone else last + 1
                at_work = max(PAGE, min(MOST_AT_WORK, last - first_undone + 1))
                newest = await self.runs(lake, last - at_work, last)
                upper = min(last, before - 1) if before else last
                shown = newest[:PAGE] if upper == last else await self.runs(lake, upper - PAGE, upper)
            return Facts(
                service=service,
                now=now,
                last=last,
                shown=shown,
                newest=newest,
                recent=recent,
                queues=await queues,
                verification=next(iter(await verifications), None),
                busy=running.consumer.working,
                before=before,
            )
        finally:
            for task in (queues, verifications):
                task.cancel()

    async def runs(self, lake: Lake, after: int, upto: int) -> tuple[RunDetail, ...]:
        """The runs from after `after` to `upto`, newest first."""
        if upto < 1:
            return ()
        listed = await self.records.listed(lake, max(0, after), upto)
        found = await asyncio.gather(*(self.records.run(lake, one) for one in reversed(listed)))
        return tuple(describe(records) for records in found if records is not None)

"""The state of the pipeline at one time, gathered from the lake, the queues and this service."""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from totesys.aws_client import answered
from totesys.errors import TotesysError
from totesys.lake.keys import intervals_back
from totesys.lake.records import VerificationRecord
from totesys.lake.store import Lake
from totesys.service.readiness import check_database
from totesys.service.running import Running
from totesys.service.runs import RunDetail, describe
from totesys.service.stage_protocol import Stage
from totesys_console.page_query import PageQuery
from totesys_console.run_cache import Listed, RunCache
from totesys_console.stage_queues import QueueState, StageQueues
from totesys_console.visible_runs import Recent, VisibleRuns

T = TypeVar("T")

PAGE = 20
# An initial extraction is cut into many runs. The progress covers at most so many.
MOST_IN_PROGRESS = 100
# A filtered page searches at most so many run numbers. The next page continues.
MOST_SEARCHED = 2000
# Long enough for the AWS client to retry and to report the error itself.
LAKE_SECONDS = 10.0
# How long the result of a database check is used.
CHECK_SECONDS = 10.0


@dataclass(frozen=True)
class LakeFacts:
    """The runs in the lake.

    `newest` are the last runs, and at least those in progress with the others of their snapshots; `shown` are those of
    the requested page, and those before run `older` follow; None if there are none.
    """

    last: int = 0
    shown: tuple[RunDetail, ...] = ()
    newest: tuple[RunDetail, ...] = ()
    recent: Recent = field(default_factory=Recent)
    older: int | None = None


@dataclass(frozen=True)
class ServiceFacts:
    """The state of this service.

    `waits_for` are the dependencies that its consumer waits for, each with its error; `database_fault` is the error of
    its database, whether or not work waits for it. `fault` says why the service is not alive, `failure` why its last
    work failed, if none has succeeded since.
    """

    busy: bool = False
    waits_for: Mapping[str, str] = field(default_factory=dict)
    database: str = ""
    database_fault: str = ""
    fault: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Facts:
    """The pipeline at `now`, seen from `service`, with the runs of the requested page.

    What could not be read is empty, and its fault says why.
    """

    service: str
    now: datetime
    lake: LakeFacts = field(default_factory=LakeFacts)
    lake_fault: str = ""
    verification: VerificationRecord | None = None
    verification_fault: str = ""
    queues: Mapping[str, QueueState] = field(default_factory=dict)
    own: ServiceFacts = field(default_factory=ServiceFacts)
    query: PageQuery = field(default_factory=PageQuery)


class Observer:
    """Gathers the facts, and remembers between two looks what does not change."""

    def __init__(self) -> None:
        self._cache = RunCache()
        self._visible = VisibleRuns()
        self._queues = StageQueues()
        self._checked_at = -CHECK_SECONDS
        self._database_fault = ""
        self._looking = asyncio.Lock()

    async def facts(self, service: str, running: Running[Any], query: PageQuery) -> Facts:
        """Everything that the page shows, as far as it can be read."""
        lake, now = running.stage.lake, datetime.now(UTC)
        (runs, lake_fault), (verifications, verification_fault), queues, own = await asyncio.gather(
            _or_fault(self._runs(lake, now, query)),
            _or_fault(lake.verifications(1)),
            self._queues.states(service, running.queue),
            self._service(running),
        )
        return Facts(
            service=service,
            now=now,
            lake=runs or LakeFacts(),
            lake_fault=lake_fault,
            verification=next(iter(verifications or ()), None),
            verification_fault=verification_fault,
            queues=queues,
            own=own,
            query=query,
        )

    async def _service(self, running: Running[Any]) -> ServiceFacts:
        consumer, stage = running.consumer, running.stage
        name = stage.database or ""
        fault = consumer.waits_for.get(name) or (await self._check_database(stage) if name else "")
        return ServiceFacts(
            consumer.working, consumer.waits_for, name, fault, consumer.fault or "", consumer.last_failure
        )

    async def _check_database(self, stage: Stage[Any]) -> str:
        if time.monotonic() - self._checked_at >= CHECK_SECONDS:
            self._checked_at = time.monotonic()
            error = await check_database(stage)
            self._database_fault = str(error) if error else ""
        return self._database_fault

    async def _runs(self, lake: Lake, now: datetime, query: PageQuery) -> LakeFacts:
        # Two looks at the same time do not read the same records twice.
        async with self._looking:
            last = await lake.last_number()
            recent = await self._visible.recent(lake, self._cache, last, now)
            first_pending = recent.pending[0].run if recent.pending else last + 1
            in_progress = max(PAGE, min(MOST_IN_PROGRESS, last - first_pending + 1))
            newest = await self.newest(lake, last, in_progress)
            shown, older = await self._page(lake, last, query)
        return LakeFacts(last, shown, newest, recent, older)

    async def _page(self, lake: Lake, last: int, query: PageQuery) -> tuple[tuple[RunDetail, ...], int | None]:
        """The runs that a page lists, and the run before which the next page begins."""
        upper = min(last, query.before - 1) if query.before else last
        if query.end:
            upper = await self._last_before(lake, upper, query.end)
        listed: list[Listed] = []
        reached = upper
        for reached, final in intervals_back(upper, PAGE, max(0, upper - MOST_SEARCHED)):
            found = await self._cache.listed(lake, reached, final)
            listed += [one for one in reversed(found) if query.lists(one)]
            if len(listed) >= PAGE:
                reached = listed[PAGE - 1].run - 1
                break
        runs = await self._described(lake, listed[:PAGE])
        shown = tuple(run for run in runs if query.begin is None or run.snapshot_time >= query.begin)
        return shown, reached + 1 if reached and len(shown) == len(runs) else None

    async def _last_before(self, lake: Lake, upper: int, end: datetime) -> int:
        """The newest run number up to `upper` with a snapshot before `end`: numbers and snapshots ascend together."""
        lower = 0
        while lower < upper:
            middle = (lower + upper + 1) // 2
            run = next(iter(await self.newest(lake, middle, 1)), None)
            if run and run.snapshot_time >= end:
                upper = run.run - 1
            else:
                lower = middle
        return lower

    async def newest(self, lake: Lake, upto: int, most: int) -> tuple[RunDetail, ...]:
        """The newest runs up to `upto`, newest first."""
        listed: list[Listed] = []
        for first, last in intervals_back(upto, most):
            listed += reversed(await self._cache.listed(lake, first, last))
            if len(listed) >= most:
                break
        return await self._described(lake, listed[:most])

    async def run(self, lake: Lake, run: int) -> tuple[RunDetail | None, int]:
        """A run, None if ingest has committed none of this number, and the last run number. Raises TotesysError."""
        async with answered("The lake", LAKE_SECONDS):
            last = await lake.last_number()
            found = await self._described(lake, await self._cache.listed(lake, run - 1, run))
            return next(iter(found), None), last

    async def _described(self, lake: Lake, listed: Iterable[Listed]) -> tuple[RunDetail, ...]:
        found = await asyncio.gather(*(self._cache.run(lake, one) for one in listed))
        return tuple(describe(records) for records in found if records is not None)


async def _or_fault(reading: Awaitable[T]) -> tuple[T | None, str]:
    try:
        async with answered("The lake", LAKE_SECONDS):
            return await reading, ""
    except TotesysError as error:
        return None, str(error)

"""When each run of the last week became visible, and what it wrote. Each record is read once: this never changes."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile

from totesys.lake import keys
from totesys.lake.records import LoadRecord, Manifest, parse_record
from totesys.lake.store import Lake
from totesys_console.run_cache import Listed, RunCache

WINDOW = timedelta(days=7)
# Records are read so many at once, for so long. The next look at the page continues where this one ended.
AT_ONCE = 50
SECONDS = 0.3
# The most runs that one look searches for.
MOST_WANTED = 400
# The most runs that are remembered: more than one every five minutes for a week.
MOST = 2100


@dataclass(frozen=True)
class Visible:
    """A run that the warehouse has shown since `at`. It is `complete` if it is the last of its snapshot.

    `written` are the rows that it wrote, by table.
    """

    run: int
    snapshot: datetime
    complete: bool
    at: datetime
    written: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Recent:
    """The newest known runs, in order: those that are visible, and those that are pending."""

    visible: tuple[Visible, ...] = ()
    pending: tuple[Listed, ...] = ()

    @property
    def before_pending(self) -> tuple[Visible, ...]:
        """The visible runs before the first pending one: an empty run after it shows nothing yet."""
        first = self.pending[0].run if self.pending else None
        return tuple(one for one in self.visible if first is None or one.run < first)


class VisibleRuns:
    """What is known of the last week's runs, at most MOST of them."""

    def __init__(self) -> None:
        # None for a number that no run has.
        self._known: dict[int, Visible | None] = {}

    async def recent(self, lake: Lake, cache: RunCache, last: int, now: datetime) -> Recent:
        """Look at the new runs up to `last` and, for a moment, at old ones that are not known yet."""
        wanted = self._wanted(last, now)
        listed = [one for first, final in _intervals(wanted) for one in await cache.listed(lake, first - 1, final)]
        pending = sorted((one for one in listed if not one.done), key=lambda one: one.run)
        done = sorted((one for one in listed if one.done), key=lambda one: one.run, reverse=True)
        # A number after the newest run may be of one that is being extracted. A gap before it stays a gap.
        numbers = {one.run for one in listed}
        self._known |= {run: None for run in wanted if run not in numbers and run < max(numbers, default=0)}
        began = time.monotonic()
        for start in range(0, len(done), AT_ONCE):
            seen = await asyncio.gather(*(_visible(lake, one) for one in done[start : start + AT_ONCE]))
            self._known |= {one.run: one for one in seen if one is not None}
            if time.monotonic() - began > SECONDS:
                break
        self._known = {run: known for run, known in self._known.items() if last - MOST < run <= last}
        visible = [known for _, known in sorted(self._known.items()) if known is not None]
        return Recent(tuple(visible), tuple(pending))

    def _wanted(self, last: int, now: datetime) -> list[int]:
        """The newest numbers of the window that are not known, newest first."""
        wanted: list[int] = []
        for run in range(last, max(0, last - MOST), -1):
            known = self._known.get(run)
            if known is not None and known.at < now - WINDOW:
                break
            if run not in self._known:
                wanted.append(run)
            if len(wanted) == MOST_WANTED:
                break
        return wanted


async def _visible(lake: Lake, listed: Listed) -> Visible | None:
    bucket, name = (lake.ingest, keys.EMPTY) if listed.empty else (lake.processed, keys.LOAD)
    key = keys.record_key(listed.run, name)
    body = await bucket.get(key)
    if body is None:
        return None
    if listed.empty:
        empty = parse_record(Manifest, bucket.where(key), body)
        return Visible(listed.run, empty.snapshot_time, empty.complete, empty.finished_at)
    loaded = parse_record(LoadRecord, bucket.where(key), body)
    # Not when load finished: a replay changes that.
    at = loaded.snapshot_time + timedelta(seconds=loaded.freshness)
    written = {name: table.written for name, table in loaded.tables.items() if table.written}
    return Visible(listed.run, loaded.snapshot_time, loaded.complete, at, written)


def _intervals(descending: Iterable[int]) -> list[tuple[int, int]]:
    """The first and the last number of each series of neighbours."""
    found: list[tuple[int, int]] = []
    for run in descending:
        if found and found[-1][0] == run + 1:
            found[-1] = (run, found[-1][1])
        else:
            found.append((run, run))
    return found


def within_window(visible: Iterable[Visible], start: datetime) -> list[Visible]:
    """The runs since `start` and the one before them, in order."""
    ordered = sorted(visible, key=lambda one: one.run)
    old = len(list(takewhile(lambda one: one.at < start, ordered)))
    return ordered[max(0, old - 1) :]

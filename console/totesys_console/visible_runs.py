"""When each run became visible: little of each, remembered, because it never changes."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from totesys.lake import keys
from totesys.lake.records import LoadRecord, Manifest, parse_record
from totesys.lake.store import Lake
from totesys_console.run_cache import Listed, Records

WINDOW = timedelta(hours=24)
# Records are read so many at once, for so long; the next look at the page goes on where this one ended.
AT_ONCE = 50
SECONDS = 0.3
# As many are looked for in one look.
MOST_WANTED = 400
# A tick a minute for more than a day.
MOST = 2000


@dataclass(frozen=True)
class Visible:
    """A run that the warehouse shows since `at`. It is `complete` if it is the last of its snapshot."""

    run: int
    snapshot: datetime
    complete: bool
    at: datetime


@dataclass(frozen=True)
class Recent:
    """The newest runs that are known, in order: those that are visible, and those that are still undone."""

    visible: tuple[Visible, ...] = ()
    undone: tuple[Listed, ...] = ()

    @property
    def before_undone(self) -> tuple[Visible, ...]:
        """The runs after which nothing is missing: an empty one behind a run that is not loaded shows nothing yet."""
        first = self.undone[0].run if self.undone else None
        return tuple(one for one in self.visible if first is None or one.run < first)


class History:
    """What is known of the last day's runs, at most MOST of them."""

    def __init__(self) -> None:
        # A number that no run has is None.
        self._known: dict[int, Visible | None] = {}

    async def recent(self, lake: Lake, records: Records, last: int, now: datetime) -> Recent:
        """Look at what is new up to run `last`, and for a moment at what is old and not known yet."""
        wanted = self._wanted(last, now)
        listed = [one for first, final in _stretches(wanted) for one in await records.listed(lake, first - 1, final)]
        undone = sorted((one for one in listed if not one.done), key=lambda one: one.run)
        done = sorted((one for one in listed if one.done), key=lambda one: one.run, reverse=True)
        # Behind the newest there may be one that is being extracted; a number before it that no run has stays so.
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
        return Recent(tuple(visible), tuple(undone))

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
    if listed.empty:
        key = keys.record_key(listed.run, keys.EMPTY)
        body = await lake.ingest.get(key)
        if body is None:
            return None
        empty = parse_record(Manifest, lake.ingest.where(key), body)
        return Visible(listed.run, empty.snapshot_time, empty.complete, empty.finished_at)
    key = keys.record_key(listed.run, keys.LOAD)
    body = await lake.processed.get(key)
    if body is None:
        return None
    loaded = parse_record(LoadRecord, lake.processed.where(key), body)
    # Not when load ended: a run that is done again ends again.
    at = loaded.snapshot_time + timedelta(seconds=loaded.freshness)
    return Visible(listed.run, loaded.snapshot_time, loaded.complete, at)


def _stretches(descending: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each series of neighbours."""
    found: list[tuple[int, int]] = []
    for run in descending:
        if found and found[-1][0] == run + 1:
            found[-1] = (run, found[-1][1])
        else:
            found.append((run, run))
    return found


def within_window(visible: Iterable[Visible], now: datetime) -> list[Visible]:
    """Those of the last day with the one before them, in the order in which they became visible."""
    ordered = sorted(visible, key=lambda one: one.run)
    old = len(list(takewhile(lambda one: one.at < now - WINDOW, ordered)))
    return ordered[max(0, old - 1) :]

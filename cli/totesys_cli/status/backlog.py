"""The pending runs of each stage, and the run that the warehouse shows: from the listings of the lake's records."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

from totesys.lake.store import Lake


@dataclass(frozen=True)
class Backlog:
    """The newest loaded run (0: none), and each later run that ingest committed, with whether it is empty.

    Load keeps the order of runs, so all runs before a loaded one are loaded.
    """

    loaded: int
    later: Mapping[int, bool]
    transformed: Collection[int]

    @property
    def for_transform(self) -> list[int]:
        """The runs that wait for transform, oldest first."""
        return [run for run, empty in self.later.items() if not empty and run not in self.transformed]

    @property
    def for_load(self) -> list[int]:
        """The runs that wait only for load, oldest first."""
        return sorted(self.transformed)

    @property
    def newest_shown(self) -> int:
        """The newest run up to which the warehouse is complete; an empty run has nothing to load."""
        shown = takewhile(lambda run: self.later[run], sorted(self.later))
        return max(shown, default=self.loaded)


async def read_backlog(lake: Lake) -> Backlog:
    """The backlog now: a few pages of keys, however many runs the lake has."""
    loaded = await lake.newest_loaded()
    later, transformed = await asyncio.gather(lake.ingested(after=loaded), lake.processed_runs(after=loaded))
    return Backlog(loaded, later, set(transformed))

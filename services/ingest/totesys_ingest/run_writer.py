"""The runs that an extraction writes: parts are added as they are done, runs committed in order."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from totesys.lake.records import ExtractedTable, Manifest, Part, TableParts
from totesys.table import Capture, SourceTable
from totesys.transactions import HighWaterMark, Position
from totesys_ingest.plan import Slice, Stream
from totesys_ingest.start import Sight, Start


@dataclass(frozen=True)
class Extraction:
    """What all runs of one snapshot have in common. See `Manifest`.

    `wanted` are, by source table, the keys whose rows come whether or not they changed.
    """

    trigger: str
    start: Start
    sight: Sight
    position: Position
    declared: Mapping[str, tuple[str, ...]]
    wanted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def high_water_mark(self, *, complete: bool) -> HighWaterMark | None:
        """Where the next extraction starts, after a run that does or does not complete this one."""
        return self.sight.mark if complete else self.start.kept

    def slice_of(self, table: SourceTable) -> Slice:
        """Which of the table's rows come."""
        if table.capture is Capture.FULL_REFRESH:
            return Slice()
        return Slice(self.start.mark, self.wanted.get(table.name, ()))


@dataclass
class OpenRun:
    """A run that is being written. `jobs` counts those that have begun and not ended, `keys` are those of its parts."""

    lake: UUID
    number: int
    started: float = field(default_factory=time.monotonic)
    bytes: int = 0
    jobs: int = 0
    closed: bool = False
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    keys: list[str] = field(default_factory=list)
    _parts: dict[Stream, list[Part]] = field(default_factory=lambda: defaultdict(list))
    _seconds: dict[Stream, float] = field(default_factory=lambda: defaultdict(float))
    _numbers: dict[Stream, int] = field(default_factory=lambda: defaultdict(int))

    def next_part(self, stream: Stream) -> int:
        """The number of the stream's next part."""
        number = self._numbers[stream]
        self._numbers[stream] += 1
        return number

    def add(self, stream: Stream, part: Part, seconds: float) -> None:
        """Count a part that is in the lake."""
        self._parts[stream].append(part)
        self._seconds[stream] += seconds

    def begin(self) -> None:
        """A job of this run begins."""
        self.jobs += 1

    def end(self, jobs: int) -> None:
        """So many jobs of this run ended."""
        self.jobs -= jobs
        self._settle()

    def close(self) -> None:
        """No job begins in this run any more."""
        self.closed = True
        self._settle()

    def _settle(self) -> None:
        if self.closed and self.jobs == 0:
            self.finished.set()

    def manifest(self, extraction: Extraction, *, first: int, previous: int, complete: bool) -> Manifest:
        """The record that commits this run."""
        start, mark = extraction.start.mark, extraction.high_water_mark(complete=complete)
        sight = extraction.sight
        return Manifest(
            lake=self.lake,
            run=self.number,
            previous=previous,
            extraction=first,
            complete=complete,
            snapshot_time=sight.snapshot.taken_at,
            finished_at=datetime.now(UTC),
            seconds=round(time.monotonic() - self.started, 6),
            trigger=extraction.trigger,
            source=sight.standing.place.source,
            xmin_before=start.xmin if start else None,
            xmin_after=mark.xmin if mark else None,
            high_water_mark=mark,
            position=extraction.position,
            open_transaction=sight.open_transaction,
            tables={
                of.table.name: ExtractedTable(**self._written(of), mode=of.table.capture)
                for of in self._parts
                if not of.keys
            },
            keys={of.table.name: TableParts(**self._written(of)) for of in self._parts if of.keys},
            definitions=dict(sight.snapshot.definitions),
            declared=dict(extraction.declared),
        )

    def _written(self, stream: Stream) -> dict[str, Any]:
        return {
            "columns": stream.columns,
            "parts": tuple(sorted(self._parts[stream], key=lambda part: part.key)),
            "seconds": round(self._seconds[stream], 6),
        }

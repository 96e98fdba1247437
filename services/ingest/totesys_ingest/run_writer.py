"""The runs that an extraction writes: parts are added as they are done, runs committed in order."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from totesys.lake.records import ExtractedTable, Manifest, Part, TableDefinition, TableParts
from totesys.table import Capture, SourceTable
from totesys_ingest.plan import Slice, Stream


@dataclass(frozen=True)
class Extraction:
    """What all runs of one snapshot have in common. See `Manifest`.

    `wanted` are, by source table, the keys whose rows come whether or not they changed.
    """

    trigger: str
    source: str
    snapshot_time: datetime
    xmin_before: int | None
    xmin_kept: int | None
    xmin_after: int
    definitions: Mapping[str, TableDefinition]
    declared: Mapping[str, tuple[str, ...]]
    wanted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def slice_of(self, table: SourceTable) -> Slice:
        """Which of the table's rows come."""
        if table.capture is Capture.SNAPSHOT:
            return Slice()
        return Slice(self.xmin_before, self.wanted.get(table.name, ()))


@dataclass
class OpenRun:
    """A run that is being written. `jobs` counts those that have begun and not ended."""

    lake: UUID
    number: int
    started: float = field(default_factory=time.monotonic)
    bytes: int = 0
    jobs: int = 0
    closed: bool = False
    finished: asyncio.Event = field(default_factory=asyncio.Event)
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
        return Manifest(
            lake=self.lake,
            run=self.number,
            previous=previous,
            extraction=first,
            complete=complete,
            snapshot_time=extraction.snapshot_time,
            finished_at=datetime.now(UTC),
            seconds=round(time.monotonic() - self.started, 6),
            trigger=extraction.trigger,
            source=extraction.source,
            xmin_before=extraction.xmin_before,
            xmin_after=extraction.xmin_after if complete else extraction.xmin_kept,
            tables={
                of.table.name: ExtractedTable(**self._written(of), mode=of.table.capture)
                for of in self._parts
                if not of.keys
            },
            keys={of.table.name: TableParts(**self._written(of)) for of in self._parts if of.keys},
            definitions=dict(extraction.definitions),
            declared=dict(extraction.declared),
        )

    def _written(self, stream: Stream) -> dict[str, Any]:
        return {
            "columns": stream.columns,
            "parts": tuple(sorted(self._parts[stream], key=lambda part: part.key)),
            "seconds": round(self._seconds[stream], 6),
        }

"""The runs that an extraction writes: parts are added as they are done, runs committed in order."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from totesys.lake.records import ExtractedTable, Manifest, Part
from totesys.table import SourceTable


@dataclass(frozen=True)
class Extraction:
    """What all runs of one snapshot have in common. See `Manifest`."""

    trigger: str
    source: str
    snapshot_time: datetime
    xmin_before: int | None
    xmin_kept: int | None
    xmin_after: int


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
    _parts: dict[str, list[Part]] = field(default_factory=lambda: defaultdict(list))
    _seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _tables: dict[str, SourceTable] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def next_part(self, table: SourceTable) -> int:
        """The number of the table's next part."""
        number = self._numbers[table.name]
        self._numbers[table.name] += 1
        return number

    def add(self, table: SourceTable, part: Part, seconds: float) -> None:
        """Count a part that is in the lake."""
        self._tables[table.name] = table
        self._parts[table.name].append(part)
        self._seconds[table.name] += seconds

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
                name: ExtractedTable(
                    columns=self._tables[name].column_names,
                    parts=tuple(sorted(parts, key=lambda part: part.key)),
                    seconds=round(self._seconds[name], 6),
                    mode=self._tables[name].capture,
                )
                for name, parts in self._parts.items()
            },
        )

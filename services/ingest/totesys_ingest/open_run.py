"""The run that an extraction is writing: its jobs, its parts, and the manifest that commits it."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from totesys.lake.records import ExtractedTable, Manifest, Part, RunCounter, TableParts
from totesys.log_position import LogPosition
from totesys.run_work import RunWork
from totesys.schema import Model
from totesys.transactions import Position
from totesys.triggers import ExtractTrigger
from totesys_ingest.extraction_jobs import Stream
from totesys_ingest.starting_point import SourceSnapshot, StartingPoint


@dataclass(frozen=True)
class ExtractionSpec:
    """What all runs of one extraction have in common.

    `position` is None where no second connection could be opened to read it; `last_position` is that of the last run.
    `log` is how far capture has read the log with this extraction, `last_log` how far before. `capture` is what named
    the changed rows; `checks_log` marks a scan that checks the log.
    """

    model: Model
    trigger: ExtractTrigger
    start: StartingPoint
    snapshot: SourceSnapshot
    position: Position | None
    last_position: Position | None
    log: LogPosition | None = None
    last_log: LogPosition | None = None
    capture: Literal["scan", "log"] = "scan"
    checks_log: bool = False


@dataclass
class OpenRun:
    """A run that is being written.

    `jobs` counts the jobs in progress, `part_keys` holds the keys of every part that was begun, and `finished` is set
    when the run is closed and its last job has ended.
    """

    counter: RunCounter
    work: RunWork
    bytes: int = 0
    jobs: int = 0
    closed: bool = False
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    part_keys: list[str] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _parts: dict[Stream, list[Part]] = field(default_factory=lambda: defaultdict(list))
    _seconds: dict[Stream, float] = field(default_factory=lambda: defaultdict(float))
    _numbers: dict[Stream, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def number(self) -> int:
        return self.counter.last

    def next_part(self, stream: Stream) -> int:
        """Take the next part number of the stream."""
        self._numbers[stream] += 1
        return self._numbers[stream] - 1

    def add(self, stream: Stream, part: Part, seconds: float) -> None:
        """Count a part that is in the lake."""
        self._parts[stream].append(part)
        self._seconds[stream] += seconds

    def end_jobs(self, jobs: int) -> None:
        """Count jobs of this run as ended."""
        self.jobs -= jobs
        self._settle()

    def close(self) -> None:
        """Let no further job begin in this run."""
        self.closed = True
        self._settle()

    def _settle(self) -> None:
        if self.closed and self.jobs == 0:
            self.finished.set()

    def manifest(
        self, spec: ExtractionSpec, *, first: int, previous: int, complete: bool, position: Position | None
    ) -> Manifest:
        """The record that commits this run.

        `first` is the first run of the extraction, `previous` the newest run with parts before this one. Only a
        `complete` extraction moves the high-water mark.
        """
        start, snapshot = spec.start.mark, spec.snapshot
        mark = snapshot.mark if complete else spec.start.kept
        return Manifest(
            lake=self.counter.lake,
            run=self.number,
            previous=previous,
            extraction=first,
            complete=complete,
            snapshot_time=snapshot.taken_at,
            finished_at=datetime.now(UTC),
            seconds=round(time.monotonic() - self._started, 6),
            trigger=spec.trigger.trigger,
            source=snapshot.status.place.source,
            xmin_before=start.xmin if start else None,
            xmin_after=mark.xmin if mark else None,
            high_water_mark=mark,
            position=position,
            open_transaction=snapshot.open_transaction,
            tables={
                of.table.name: ExtractedTable(**self._written(of), mode=of.table.capture)
                for of in self._parts
                if of.rows
            },
            keys={of.table.name: TableParts(**self._written(of)) for of in self._parts if of.keys},
            deleted={of.table.name: TableParts(**self._written(of)) for of in self._parts if of.deleted},
            log=spec.log if complete else spec.last_log,
            checks_log=spec.checks_log,
            capture=spec.capture,
            definitions=dict(snapshot.changes.definitions),
            declared=dict(spec.model.declared),
            counts=dict(snapshot.counts),
        )

    def _written(self, stream: Stream) -> dict[str, Any]:
        return {
            "columns": stream.columns,
            "parts": tuple(sorted(self._parts[stream], key=lambda part: part.key)),
            "seconds": round(self._seconds[stream], 6),
        }

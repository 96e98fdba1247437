"""The records that the services would have written in a day of runs."""

import asyncio
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from totesys.lake import keys
from totesys.lake.bucket import Bucket
from totesys.lake.records import (
    BuiltTable,
    ExtractedTable,
    Failure,
    LoadedTable,
    LoadRecord,
    Manifest,
    Part,
    ProcessedManifest,
    QuarantinedTable,
    Record,
    RunCounter,
    VerificationRecord,
    VerifiedTable,
    WrongRow,
)
from totesys.lake.store import Lake
from totesys.table import Capture

EVERY = timedelta(minutes=5)
# The share of ticks at which nothing has changed.
QUIET = 0.3
REASONS = {"agreed_payment_date is not a valid date": 2}


@dataclass
class Day:
    """`runs` runs, one every five minutes, the last of them a minute before `now`. The seed decides the rest.

    `late` are runs whose load took so many minutes. The last `pending` runs are not loaded. `quarantined` are runs that
    have rows in quarantine, besides those of chance.
    """

    now: datetime
    runs: int = 288
    pending: int = 0
    late: dict[int, float] = field(default_factory=dict)
    trigger: str = "schedule"
    table: str = "fact_sales_order"
    quarantined: Collection[int] = ()
    lake: UUID = field(default_factory=uuid4)
    chance: random.Random = field(default_factory=lambda: random.Random(20261125))

    async def write(self, lake: Lake) -> None:
        """Write every record."""
        places: list[tuple[Bucket, str, Record]] = [
            (lake.ingest, keys.RUN_NUMBER, RunCounter(lake=self.lake, last=self.runs))
        ]
        previous = 0
        for run in range(1, self.runs + 1):
            changed = run in (1, self.runs) or run > self.runs - self.pending - 4 or self.chance.random() > QUIET
            places += self._run(lake, run, previous, changed)
            previous = run if changed else previous
        waiting = iter(places)
        await asyncio.gather(*(_put(waiting) for _ in range(16)))

    def _run(self, lake: Lake, run: int, previous: int, changed: bool) -> list[tuple[Bucket, str, Record]]:
        snapshot = self.now - timedelta(minutes=1) - (self.runs - run) * EVERY
        rows = self.chance.randint(3, 900) if run > 1 else 48_066
        head: dict[str, Any] = {
            "lake": self.lake,
            "run": run,
            "previous": previous,
            "extraction": run,
            "complete": True,
            "snapshot_time": snapshot,
        }
        taken = round(self.chance.uniform(0.04, 0.2), 3)
        manifest = Manifest(
            **head,
            finished_at=snapshot + timedelta(seconds=taken),
            seconds=taken,
            trigger="manual" if run == 1 else self.trigger,
            source="7712134490498324244/1/16384",
            xmin_before=None if run == 1 else 1000 + run,
            xmin_after=1001 + run,
            tables=self._extracted(rows) if changed else {},
        )
        name = keys.MANIFEST if changed else keys.EMPTY
        found: list[tuple[Bucket, str, Record]] = [(lake.ingest, keys.record_key(run, name), manifest)]
        if changed:
            built = self._built(head, rows, snapshot)
            found.append((lake.processed, keys.record_key(run, keys.MANIFEST), built))
            if run <= self.runs - self.pending:
                found.append((lake.processed, keys.record_key(run, keys.LOAD), self._loaded(built)))
        return found

    def _extracted(self, rows: int) -> dict[str, ExtractedTable]:
        split = {"sales_order": rows - rows // 3, "purchase_order": rows // 3}
        return {
            name: ExtractedTable(
                columns=("id",), parts=(_part(name, some, 96),), seconds=0.02, mode=Capture.INCREMENTAL
            )
            for name, some in split.items()
        }

    def _built(self, head: dict[str, Any], rows: int, snapshot: datetime) -> ProcessedManifest:
        taken, run = round(self.chance.uniform(0.06, 0.3), 3), head["run"]
        quarantine = QuarantinedTable(columns=("id",), parts=(_part("q", 2, 90),), seconds=0, reasons=REASONS)
        tables = {
            name: BuiltTable(columns=("id",), parts=(_part(name, some, 31),), seconds=0.05)
            for name, some in ((self.table, rows - rows // 3), ("fact_purchase_order", rows // 3))
        }
        return ProcessedManifest.model_validate(
            {
                **head,
                "finished_at": snapshot + timedelta(seconds=0.4 + taken),
                "seconds": taken,
                "tables": tables,
                "quarantine": {self.table: quarantine} if self.chance.random() > 0.9 or run in self.quarantined else {},
            }
        )

    def _loaded(self, built: ProcessedManifest) -> LoadRecord:
        taken = round(self.chance.uniform(0.08, 0.4), 3)
        fresh = 1 + taken + 60 * self.late.get(built.run, 0)
        return LoadRecord.model_validate(
            {
                **built.model_dump(include={"lake", "run", "previous", "extraction", "complete", "snapshot_time"}),
                "finished_at": built.snapshot_time + timedelta(seconds=fresh),
                "seconds": taken,
                "freshness": round(fresh, 3),
                "tables": {
                    name: LoadedTable(rows=table.rows, written=table.rows, seconds=0.05)
                    for name, table in built.tables.items()
                },
            }
        )


def _part(name: str, rows: int, width: int) -> Part:
    return Part(key=f"x/{name}/part-00000", rows=rows, bytes=rows * width, crc32="00000000")


async def _put(waiting: Iterator[tuple[Bucket, str, Record]]) -> None:
    for bucket, key, record in waiting:
        await bucket.put(key, record.model_dump_json(indent=2).encode())


def failure(run: int, stage: str, detail: str) -> Failure:
    """The record of a stage's failure on a run."""
    return Failure(
        run=run, stage=stage, title="Corrupt object", detail=detail, transient=False, failed_at=datetime.now(UTC)
    )


async def put_failure(lake: Lake, failed: Failure) -> None:
    """Write the record of a failure."""
    key = keys.record_key(failed.run, keys.failure_name(failed.stage))
    await lake.processed.put(key, failed.model_dump_json().encode())


def verification(at: datetime, run: int, wrong: Sequence[str]) -> VerificationRecord:
    """The record of a verification that found the rows with these keys wrong."""
    rows = 50_980
    return VerificationRecord(
        started_at=at,
        seconds=1.24,
        run=run,
        snapshot_time=at,
        reason="",
        equal=not wrong,
        tables={
            "fact_sales_order": VerifiedTable(
                compared=rows,
                equal=rows - len(wrong),
                differing=len(wrong),
                missing=0,
                extra=0,
                quarantined=0,
                changed_since=0,
                deleted_since=0,
                wrong=tuple(WrongRow(key=key, verdict="differs", columns=("units_sold",)) for key in wrong),
            )
        },
    )

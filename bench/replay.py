"""`python -m bench.replay 1000 10000`: how fast runs are replayed, where there are so many.

The lake's records are written without the stages before load: of so many runs, a third has changes of some rows of two
facts and a dimension, as a day's ticks bring them. Not a case of `python -m bench`, for it takes many minutes.
"""

import asyncio
import io
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet
from pydantic import SecretStr

from tests.sources import execute, make_company
from totesys.connection import Connection, connect
from totesys.lake import keys
from totesys.lake.records import Manifest, ProcessedManifest
from totesys.lake.store import Lake, open_lake
from totesys.logs import quiet_logs
from totesys.model import MODEL
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.local_postgres import PostgresServer
from totesys_infra import data_plane_template
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.ingest_stage import Ingest
from totesys_load.load_settings import LoadSettings
from totesys_load.load_stage import Load
from totesys_transform.transform_stage import Transform

CHANGES = (
    "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 5",
    "UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id <= 3",
    "UPDATE transaction SET last_updated = now() WHERE transaction_id <= 3",
)
# What differs from run to run.
VARIED = ("fact_sales_order", "units_sold")
AT_ONCE = 24
_LOAD_LOCK = """
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - a.xact_start)), 0)::float8, (SELECT count(*) FROM pg_locks)
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' AND l.granted"""


class Stand:
    """A source, a lake and a warehouse."""

    def __init__(self, plane: LocalDataPlane, lake: Lake, source: str, warehouse: str) -> None:
        common: dict[str, Any] = {
            "ingest_bucket": plane.ingest_bucket,
            "processed_bucket": plane.processed_bucket,
            "queue_url": "",
            "dlq_url": "",
        }
        self.lake = lake
        self.source = source
        self.warehouse = warehouse
        self.ingest = Ingest(IngestSettings(**common, source_dsn=SecretStr(source)), lake, MODEL)
        self.transform = Transform(lake, MODEL)
        self.load = Load(LoadSettings(**common, warehouse_dsn=SecretStr(warehouse)), lake, MODEL)

    async def begin(self) -> None:
        """Two runs as they come: everything, and some changes."""
        await make_company(self.source)
        for statements in ((), CHANGES):
            await execute(self.source, *statements)
            await self.ingest.work(ExtractTrigger())
            await self.transform.work(RECONCILE)

    async def fill(self, first: int, last: int) -> None:
        """Runs like the second one; two of three are empty."""
        manifest, processed = await self.lake.manifest(2), await self.lake.processed_manifest(2)
        assert manifest is not None
        assert processed is not None
        bodies = {name: await self.lake.processed.get_part(one.parts[0]) for name, one in processed.tables.items()}
        slots = asyncio.Semaphore(AT_ONCE)

        async def put(run: int) -> None:
            async with slots:
                await self._put(run, manifest, processed, bodies)

        for start in range(first, last + 1, 1000):
            await asyncio.gather(*(put(run) for run in range(start, min(start + 1000, last + 1))))
        counter = await self.lake.counter()
        assert counter is not None
        text = counter.model_copy(update={"last": last}).model_dump_json()
        await self.lake.ingest.put(keys.RUN_NUMBER, text.encode())

    async def _put(self, run: int, manifest: Manifest, processed: ProcessedManifest, bodies: dict[str, bytes]) -> None:
        previous = max(2, (run - 1) // 3 * 3)
        moment = manifest.snapshot_time + timedelta(seconds=run)
        head = {"run": run, "previous": previous, "extraction": run, "snapshot_time": moment, "finished_at": moment}
        if run % 3:
            await self.lake.commit(manifest.model_copy(update={**head, "tables": {}}))
            return
        built = {}
        for name, table in processed.tables.items():
            body = _varied(bodies[name], run) if name == VARIED[0] else bodies[name]
            key = keys.part_key(MODEL.lake_schema(MODEL.table(name)), name, run, 0, "parquet")
            part = await self.lake.processed.put_part(key, body, table.rows)
            built[name] = table.model_copy(update={"parts": (part,)})
        await self.lake.commit(manifest.model_copy(update=head))
        await self.lake.commit_processed(processed.model_copy(update={**head, "tables": built}))

    async def replay(self, first: int, last: int) -> str:
        """Have load do the runs again; what that took."""
        runs = len([run async for run in self.lake.runs_with_parts(first - 1, last)])
        async with connect("The warehouse", self.warehouse) as connection:
            watching = asyncio.create_task(_watch(connection))
            started = time.monotonic()
            await self.load.work(RunsTrigger(from_run=first, to_run=last, replay=str(uuid4())))
            seconds = time.monotonic() - started
            watching.cancel()
            held, locks = await watching
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return (
            f"{runs:,} runs in {seconds:,.1f} s, {runs / seconds:.1f} a second; the lock for {held:.2f} s at the most, "
            f"{locks} locks, {peak:.0f} MB"
        )


def _varied(body: bytes, run: int) -> bytes:
    rows = pyarrow.parquet.read_table(pa.BufferReader(body))
    place = rows.column_names.index(VARIED[1])
    other = rows.set_column(place, rows.schema.field(place), pa.array([run] * rows.num_rows, rows.schema[place].type))
    sink = io.BytesIO()
    pyarrow.parquet.write_table(other, sink, compression="zstd")
    return sink.getvalue()


async def _watch(connection: Connection) -> tuple[float, int]:
    """The longest that one transaction had load's lock, and the most locks, until it is cancelled."""
    held, locks = 0.0, 0
    try:
        while True:
            row = await connection.fetchrow(_LOAD_LOCK)
            assert row is not None
            held, locks = max(held, row[0]), max(locks, row[1])
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return held, locks


@asynccontextmanager
async def standing() -> AsyncIterator[Stand]:
    """A stand that is gone at the end."""
    with PostgresServer.start(durable=True) as postgres, Emulator.start() as emulator:
        plane = emulator.apply(data_plane_template(), "bench-replay")
        os.environ.update(plane.environment())
        databases = postgres.create_database("source"), postgres.create_database("warehouse")
        async with open_lake(plane.ingest_bucket, plane.processed_bucket) as lake:
            yield Stand(plane, lake, *databases)


async def measure(sizes: list[int]) -> None:
    """Print what replays take with so many runs, and then with more."""
    quiet_logs()
    async with standing() as stand:
        await stand.begin()
        last = 2
        for size in sizes:
            await stand.fill(last + 1, size)
            started = time.monotonic()
            await stand.load.work(RECONCILE)
            loaded = (size - last) / 3 / (time.monotonic() - started)
            print(f"{size:,} runs, a third with changes; the new ones loaded at {loaded:.1f} a second", flush=True)
            last = size
            print("  the second run:      ", await stand.replay(2, 2), flush=True)
            print("  1,000 from the first:", await stand.replay(3, 1002), flush=True)
            print("  1,000 to the last:   ", await stand.replay(max(3, size - 999), size), flush=True)


if __name__ == "__main__":
    asyncio.run(measure([int(size) for size in sys.argv[1:]] or [1_000, 10_000]))

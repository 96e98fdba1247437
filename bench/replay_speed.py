"""`python -m bench.replay_speed 1000 10000`: how fast runs are replayed when there are that many.

It writes the lake's records without ingest and transform: a third of the runs change a few rows of two facts and a
dimension, as the ticks of a day do. Not a case of `python -m bench`, because it takes many minutes.
"""

import asyncio
import io
import os
import resource
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet
from pydantic import SecretStr

from bench.generated_source import create
from totesys.connection import Connection, connect
from totesys.lake import keys
from totesys.lake.store import Lake, open_lake
from totesys.logs import quiet_logs
from totesys.model import MODEL
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_postgres import PostgresServer
from totesys_infra import data_plane_template
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.ingest_stage import Ingest
from totesys_load.load_settings import LoadSettings
from totesys_load.load_stage import Load
from totesys_transform.transform_stage import Transform

ORDERS = 1_000
CHANGES = (
    "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id <= 5",
    "UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id <= 3",
    "UPDATE transaction SET last_updated = now() WHERE transaction_id <= 3",
)
# What differs from run to run.
VARIED_TABLE, VARIED_COLUMN = "fact_sales_order", "units_sold"
AT_ONCE = 24
_LOAD_LOCK = """
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - a.xact_start)), 0)::float8, (SELECT count(*) FROM pg_locks)
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory' AND l.granted"""


async def measure(sizes: list[int]) -> None:
    """Print how long replays take with that many runs, and then with more."""
    quiet_logs()
    with PostgresServer.start(durable=True) as postgres, Emulator.start() as emulator:
        plane = emulator.apply(data_plane_template(), "bench-replay")
        os.environ.update(plane.environment())
        source, warehouse = postgres.create_database("source"), postgres.create_database("warehouse")
        common: dict[str, Any] = {
            "ingest_bucket": plane.ingest_bucket,
            "processed_bucket": plane.processed_bucket,
            "queue_url": "",
            "dlq_url": "",
        }
        async with open_lake(plane.ingest_bucket, plane.processed_bucket) as lake:
            ingest = Ingest(IngestSettings(**common, source_dsn=SecretStr(source)), lake, MODEL)
            await _begin(source, ingest, Transform(lake, MODEL))
            load = Load(LoadSettings(**common, warehouse_dsn=SecretStr(warehouse)), lake, MODEL)
            await _measure(sizes, await _Template.of(lake), load, warehouse)


async def _begin(source: str, ingest: Ingest, transform: Transform) -> None:
    """Two genuine runs: everything, and some changes."""
    await create(source, ORDERS)
    for statements in ((), CHANGES):
        async with connect("The source", source) as connection:
            for statement in statements:
                await connection.execute(statement)
        await ingest.work(ExtractTrigger())
        await transform.work(RECONCILE)


async def _measure(sizes: list[int], template: "_Template", load: Load, warehouse: str) -> None:
    last = 2
    for size in sizes:
        await template.fill(last + 1, size)
        started = time.monotonic()
        await load.work(RECONCILE)
        loaded = (size - last) / 3 / (time.monotonic() - started)
        print(f"{size:,} runs, a third with changes; the new ones loaded at {loaded:.1f} a second", flush=True)
        last = size
        for what, first, end in (
            ("the second run", 2, 2),
            ("1,000 from the first", 3, 1002),
            ("1,000 to the last", max(3, size - 999), size),
        ):
            print(f"  {what + ':':21}", await _replay(template.lake, load, warehouse, first, end), flush=True)


@dataclass(frozen=True)
class _Template:
    """The second run, of which all further runs are copies with other values; two of three are empty."""

    lake: Lake
    manifest: Any
    processed: Any
    bodies: dict[str, bytes]

    @classmethod
    async def of(cls, lake: Lake) -> "_Template":
        manifest, processed = await lake.manifest(2), await lake.processed_manifest(2)
        assert processed is not None
        bodies = {name: await lake.processed.get_part(one.parts[0]) for name, one in processed.tables.items()}
        return cls(lake, manifest, processed, bodies)

    async def fill(self, first: int, last: int) -> None:
        """Write runs `first` to `last`."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def put(run: int) -> None:
            async with slots:
                await self._put(run)

        for start in range(first, last + 1, 1000):
            await asyncio.gather(*(put(run) for run in range(start, min(start + 1000, last + 1))))
        counter = await self.lake.counter()
        assert counter is not None
        text = counter.model_copy(update={"last": last}).model_dump_json()
        await self.lake.ingest.put(keys.RUN_NUMBER, text.encode())

    async def _put(self, run: int) -> None:
        previous = max(2, (run - 1) // 3 * 3)
        moment = self.manifest.snapshot_time + timedelta(seconds=run)
        head = {"run": run, "previous": previous, "extraction": run, "snapshot_time": moment, "finished_at": moment}
        if run % 3:
            await self.lake.commit(self.manifest.model_copy(update={**head, "tables": {}}))
            return
        built = {}
        for name, table in self.processed.tables.items():
            body = _varied(self.bodies[name], run) if name == VARIED_TABLE else self.bodies[name]
            key = keys.part_key(MODEL.lake_schema(MODEL.table(name)), name, run, 0, "parquet")
            part = await self.lake.processed.put_part(key, body, table.rows)
            built[name] = table.model_copy(update={"parts": (part,)})
        await self.lake.commit(self.manifest.model_copy(update=head))
        await self.lake.commit_processed(self.processed.model_copy(update={**head, "tables": built}))


def _varied(body: bytes, run: int) -> bytes:
    rows = pyarrow.parquet.read_table(pa.BufferReader(body))
    place = rows.column_names.index(VARIED_COLUMN)
    values = pa.array([run] * rows.num_rows, rows.schema[place].type)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(rows.set_column(place, rows.schema.field(place), values), sink, compression="zstd")
    return sink.getvalue()


async def _replay(lake: Lake, load: Load, warehouse: str, first: int, last: int) -> str:
    """Replay runs in load; what that took."""
    runs = len([run async for run in lake.runs_with_parts(first - 1, last)])
    async with connect("The warehouse", warehouse) as connection:
        watching = asyncio.create_task(_watch(connection))
        started = time.monotonic()
        await load.work(RunsTrigger(from_run=first, to_run=last, replay=str(uuid4())))
        seconds = time.monotonic() - started
        watching.cancel()
        held, locks = await watching
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{runs:,} runs in {seconds:,.1f} s, {runs / seconds:.1f} a second; the lock held for at most {held:.2f} s, "
        f"{locks} locks, {peak:.0f} MB"
    )


async def _watch(connection: Connection) -> tuple[float, int]:
    """The longest time that one transaction held load's lock, and the most locks, until it is cancelled."""
    held, locks = 0.0, 0
    try:
        while True:
            row = await connection.fetchrow(_LOAD_LOCK)
            assert row is not None
            held, locks = max(held, row[0]), max(locks, row[1])
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return held, locks


if __name__ == "__main__":
    asyncio.run(measure([int(size) for size in sys.argv[1:]] or [1_000, 10_000]))

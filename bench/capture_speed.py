"""`python -m bench.capture_speed 1000000 5000000`: a tick that scans beside one that reads the log.

Ingest alone, in this process. Not a case of `python -m bench`: services and load take the same time in both modes.
"""

import asyncio
import os
import statistics
import sys
import time
from typing import Any, Literal

from pydantic import SecretStr

from bench import generated_source, processes
from totesys.connection import connect
from totesys.lake.store import open_lake
from totesys.logs import quiet_logs
from totesys.model import MODEL
from totesys.triggers import ExtractTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_postgres import PostgresServer
from totesys_cli.source_database import publication_statement
from totesys_infra import data_plane_template
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.ingest_stage import Ingest

ROUNDS = 5
CHANGED_ROWS = (0, 1_000, 100_000)
Mode = Literal["scan", "log"]
MODES: tuple[Mode, ...] = ("scan", "log")


async def measure(sizes: list[int]) -> None:
    """Print the median seconds of ingest, and the CPU seconds of Postgres, for each number of orders."""
    quiet_logs()
    with PostgresServer.start(durable=False) as postgres, Emulator.start() as emulator:
        plane = emulator.apply(data_plane_template(), "bench-capture")
        os.environ.update(plane.environment())
        source = postgres.create_database("source")
        settings = IngestSettings(
            ingest_bucket=plane.ingest_bucket,
            processed_bucket=plane.processed_bucket,
            queue_url="unused",
            dlq_url="unused",
            source_dsn=SecretStr(source),
            capture="log",
        )
        await generated_source.create(source, sizes[0])
        async with connect("The source", source) as connection:
            await connection.execute(publication_statement(MODEL, "public", settings.capture_publication))
        async with open_lake(plane.ingest_bucket, plane.processed_bucket) as lake:
            ingest = Ingest(settings, lake, MODEL)
            for orders in sizes:
                await generated_source.grow(source, orders)
                for _ in range(3):
                    await ingest.work(ExtractTrigger())
                await _measure(ingest, source, orders, postgres.pid)


async def _measure(ingest: Ingest, source: str, orders: int, pid: int) -> None:
    for rows in CHANGED_ROWS:
        figures: dict[Mode, list[tuple[float, float]]] = {mode: [] for mode in MODES}
        for number in range(ROUNDS):
            for mode in MODES:
                await generated_source.change(source, rows, seed=number)
                figures[mode].append(await _tick(ingest, mode, pid))
        seconds = {mode: statistics.median(one for one, _ in found) for mode, found in figures.items()}
        cpu = {mode: statistics.median(one for _, one in found) for mode, found in figures.items()}
        print(
            f"{orders:>10,} orders, {rows:>7,} changed rows: "
            + ", ".join(f"{mode} {seconds[mode]:.3f} s ({cpu[mode]:.2f} s of CPU in Postgres)" for mode in MODES)
            + f"; log / scan {seconds['log'] / seconds['scan']:.2f}",
            flush=True,
        )


async def _tick(ingest: Ingest, mode: Mode, pid: int) -> tuple[float, float]:
    """The seconds of a tick, and the CPU seconds of Postgres meanwhile."""
    # Without anything to decode, a tick scans and keeps its slot.
    limits: dict[str, Any] = {"log_bytes": 0 if mode == "scan" else 2**40}
    ingest.settings = ingest.settings.model_copy(update=limits)
    cpu, started = processes.cpu_seconds(pid), time.perf_counter()
    await ingest.work(ExtractTrigger())
    seconds = time.perf_counter() - started
    newest = await ingest.lake.newest_manifest()
    assert newest is not None
    assert newest.capture == mode, f"the tick was to read the {mode}, not the {newest.capture}"
    return seconds, processes.cpu_seconds(pid) - cpu


if __name__ == "__main__":
    asyncio.run(measure([int(size) for size in sys.argv[1:]] or [50_000]))

"""The peers that are programs: dlt, and a student's script."""

from datetime import datetime
from pathlib import Path

from bench.peers.measured_command import PeerRun, run_module
from bench.peers.postgres_alone import TABLES, create_tables, source_of

# The schema of dlt's copy, and its backends.
DATASET = "raw"
PYARROW, CONNECTORX = "pyarrow", "connectorx"
# Set before dlt is imported, so that it sends no telemetry from the start, and logs errors only.
_DLT_ENVIRONMENT = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


async def student_load(source: str, warehouse: str, orders: int) -> PeerRun:
    """Fill the warehouse's tables with the first `orders` sales and purchases and their rows. Raises CommandFailed."""
    await create_tables(warehouse)
    return await run_module("bench.peers.student_script", source, warehouse, str(orders))


async def dlt_load(source: str, warehouse: str, backend: str, folder: Path, *, tuned: bool) -> PeerRun:
    """Copy the growing tables into DATASET, which is replaced, with one of dlt's backends.

    `tuned` for speed, or with dlt's defaults. dlt keeps its files in `folder`. Raises CommandFailed with dlt's message.
    """
    return await _dlt(source, warehouse, backend, folder, *([] if tuned else ["--plain"]))


async def dlt_tick(source: str, warehouse: str, backend: str, folder: Path, since: datetime) -> PeerRun:
    """Append the rows whose `last_updated` is newer than those of the last tick with the same `folder`.

    The first tick takes all from `since`, without a zone, as in the source. Raises CommandFailed.
    """
    return await _dlt(source, warehouse, backend, folder, f"--since={since.isoformat()}")


async def _dlt(source: str, warehouse: str, backend: str, folder: Path, *options: str) -> PeerRun:
    names = ",".join(source_of(table).name for table in TABLES)
    arguments = [source, warehouse, backend, str(folder), DATASET, names]
    return await run_module("bench.peers.dlt_pipeline", *options, *arguments, environment=_DLT_ENVIRONMENT)

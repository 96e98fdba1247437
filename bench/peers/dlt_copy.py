"""dlt copies the source's big tables as they are, into a schema of the warehouse's database."""

from datetime import datetime
from pathlib import Path

from bench.peers.process import PeerRun, run_module
from bench.peers.tables import TABLES, source_of

DATASET = "raw"
PYARROW = "pyarrow"
CONNECTORX = "connectorx"

PROGRAM = "bench.peers.dlt_pipeline"
# Set before dlt is imported, so that it sends nothing from the start, and logs errors only.
ENVIRONMENT = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


async def load(source: str, warehouse: str, backend: str, folder: Path, *, tuned: bool) -> PeerRun:
    """Copy every row into DATASET, in the place of what is there, with one of dlt's backends.

    `tuned` for speed, or as dlt's documentation begins. dlt keeps its files in `folder`. Raises CommandFailed with what
    dlt says.
    """
    return await _run(source, warehouse, backend, folder, *([] if tuned else ["--plain"]))


async def tick(source: str, warehouse: str, backend: str, folder: Path, since: datetime) -> PeerRun:
    """Append the rows whose `last_updated` is newer than those of the last tick with the same `folder`.

    The first one takes all from `since`, a time without zone, as the source's are. Raises CommandFailed.
    """
    return await _run(source, warehouse, backend, folder, f"--since={since.isoformat()}")


async def _run(source: str, warehouse: str, backend: str, folder: Path, *options: str) -> PeerRun:
    names = [source_of(table).name for table in TABLES]
    arguments = [source, warehouse, backend, str(folder), DATASET, ",".join(names)]
    return await run_module(PROGRAM, *options, *arguments, environment=ENVIRONMENT)

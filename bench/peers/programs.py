"""The peers that are programs: dlt, pgcopydb, and a student's script."""

import asyncio
import shutil
from datetime import datetime
from pathlib import Path

from bench.peers.measured_command import PeerRun, Usage, run, run_module
from bench.peers.postgres_alone import SOURCE_SCHEMA, TABLES, create_tables, source_of
from totesys.connection import connect
from totesys.model import MODEL
from totesys.sql import ident
from totesys_cli.source_database import create_source

# The schema of dlt's copy, and its backends.
DATASET = "raw"
PYARROW, CONNECTORX = "pyarrow", "connectorx"
# From the operating system's packages; None if it is not installed.
PGCOPYDB = shutil.which("pgcopydb")
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


async def prepare_pgcopydb(warehouse: str) -> None:
    """Create the source's growing tables in an empty database, with keys and without references or rows."""
    async with connect("The warehouse", warehouse) as connection:
        await create_source(connection, MODEL)
        references = await connection.fetch(
            "SELECT conrelid::regclass::text AS relation, conname FROM pg_constraint WHERE contype = 'f'"
        )
        for found in references:
            await connection.execute(f"ALTER TABLE {found['relation']} DROP CONSTRAINT {ident(found['conname'])}")


async def pgcopydb_load(source: str, warehouse: str, folder: Path) -> Usage:
    """Copy the rows of the growing tables, two at a time. Raises CommandFailed with pgcopydb's message."""
    filters = await asyncio.to_thread(_write_filters, folder)
    options = {"source": source, "target": warehouse, "dir": folder / "work", "filters": filters, "table-jobs": 2}
    return await run([str(PGCOPYDB), "copy", "table-data", *(f"--{name}={value}" for name, value in options.items())])


def _write_filters(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    names = (f"{SOURCE_SCHEMA}.{source_of(table).name}" for table in TABLES)
    filters = folder / "filters.ini"
    filters.write_text("\n".join(("[include-only-table]", *names, "")))
    return filters

"""Sling, which copies tables as one program: full refreshes, and rows whose `last_updated` is newer than the copy's."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from bench.peers.measured_command import Usage, run
from bench.peers.postgres_alone import SOURCE_SCHEMA, TABLES, source_of
from bench.peers.programs import DATASET

CURSOR = "last_updated"


def _program() -> Path | None:
    """The program, which is in a package of its own; None where that has none for the machine."""
    spec = find_spec("sling_linux_amd64")
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) / "bin" / "sling-linux-amd64" if folders else None


PROGRAM = _program()


async def copy(source: str, warehouse: str, folder: Path, *, changes: bool = False) -> Usage:
    """Copy the growing tables into DATASET, or append their newer rows; two tables at a time, files in `folder`.

    Raises CommandFailed with Sling's message.
    """
    mode = {"mode": "incremental", "update_key": CURSOR} if changes else {"mode": "full-refresh"}
    replication = folder / "replication.json"
    replication.write_text(
        json.dumps(
            {
                "source": "BENCH_SOURCE",
                "target": "BENCH_WAREHOUSE",
                "defaults": {"object": f"{DATASET}.{{stream_table}}", **mode},
                "streams": {f"{SOURCE_SCHEMA}.{source_of(table).name}": None for table in TABLES},
            }
        )
    )
    environment = {
        "BENCH_SOURCE": f"{source}?sslmode=disable",
        "BENCH_WAREHOUSE": f"{warehouse}?sslmode=disable",
        "HOME": str(folder),
        "SLING_HOME_DIR": str(folder),
        "SLING_DISABLE_TELEMETRY": "true",
        "SLING_THREADS": str(os.cpu_count()),
    }
    return await run([str(PROGRAM), "run", "-r", str(replication)], environment=environment)

"""What a release leaves behind, for the next one to be tried with: `python -m tests.record_release FOLDER`.

The library's lake of some runs, object by object, and its warehouse as SQL. Recorded once, with the release itself.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library
from totesys_cli.local.binaries import find_binaries, server_account
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_postgres import PostgresServer
from totesys_infra import data_plane_template

# What happens to the library, run by run: changes, a row that cannot be loaded, one without its book, a deletion.
HISTORY = (
    ("UPDATE loan SET fee = 0.75 WHERE loan_id = 1",),
    ("UPDATE loan SET lent_at = 'infinity' WHERE loan_id = 2", "UPDATE book SET shelf = 'B'"),
    (
        "ALTER TABLE loan DROP CONSTRAINT loan_book_id_fkey",
        "INSERT INTO loan VALUES (3, 99, 'Kim', '2026-01-07', 1, NULL)",
    ),
    ("DELETE FROM loan WHERE loan_id = 2", "DELETE FROM book WHERE book_id = 3"),
)


async def record(folder: Path) -> None:
    """Write `lake/` and `warehouse.sql` into the folder."""
    with PostgresServer.start(durable=False) as server, Emulator.start() as emulator:
        plane = emulator.apply(data_plane_template(), "release")
        source = await make_library(server.create_database("source"))
        warehouse = server.create_database("warehouse")
        async with Pipeline(MODEL, plane, source, warehouse) as pipeline:
            await pipeline.tick()
            for statements in HISTORY:
                await execute(source, *statements)
                await pipeline.tick()
            await pipeline.tick("sweep")
            for name, bucket in (("ingest", pipeline.lake.ingest), ("processed", pipeline.lake.processed)):
                async for key in bucket.keys(""):
                    target = folder / "lake" / name / key
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(await bucket.get(key) or b"")
        dumped = await asyncio.create_subprocess_exec(
            find_binaries(server_account()) / "pg_dump",
            *("--no-owner", "--no-privileges", "--inserts", warehouse),
            stdout=subprocess.PIPE,
        )
        (folder / "warehouse.sql").write_bytes((await dumped.communicate())[0])


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))

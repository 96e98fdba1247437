"""`totesys rebuild`: load's own stage, in this process, over a lake that it only reads."""

from uuid import UUID

import asyncpg
from pydantic import SecretStr

from totesys.connection import Connection, connect, redacted
from totesys.errors import TotesysError
from totesys.lake.records import LoadRecord
from totesys.lake.store import Lake
from totesys.logs import quiet_logs
from totesys.schema import ETL, load_model
from totesys.service_settings import read_settings
from totesys.sql import ident, qualified
from totesys.table import Fact, WarehouseTable
from totesys.triggers import RECONCILE
from totesys_cli.command_errors import StageFailed, UsageError
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation, WarehouseLocation
from totesys_cli.progress import progress
from totesys_cli.terminal import Output
from totesys_load.load_settings import LoadSettings
from totesys_load.load_stage import Load
from totesys_load.warehouse_connection import WHAT

_LEAST, _GREATEST = -(2**63), 2**63 - 1

# Version ids between the ranges of the ledger, before the first and after the last.
_GAPS = f"""
    SELECT last_record_id AS below, lead(first_record_id, 1, {_GREATEST}) OVER (ORDER BY first_record_id) AS above
    FROM (SELECT first_record_id, last_record_id FROM {ETL}.run_table
          WHERE table_name = $1 AND first_record_id <= last_record_id
          UNION ALL SELECT {_LEAST}, {_LEAST}) AS ranges"""


async def run_rebuild(output: Output, location: DataPlaneLocation, warehouse: WarehouseLocation) -> None:
    """Load the runs that the warehouse lacks, and print how many.

    Each run is one transaction, so the call may be interrupted at any time. Raises UsageError if the warehouse has
    anything that this lake has not loaded, StageFailed if a run cannot be loaded.
    """
    quiet_logs()
    async with lake_at(location) as lake:
        counter = await lake.counter()
        if counter is None:
            raise UsageError(f"The lake {location.name} has no run, so there is nothing to rebuild from. Check --name.")
        before = await _loaded_runs(warehouse, counter.lake)
        settings = read_settings(
            LoadSettings,
            ingest_bucket=location.bucket("ingest"),
            processed_bucket=location.bucket("processed"),
            # This load receives no messages and serves no HTTP.
            queue_url="unused",
            dlq_url="unused",
            host="127.0.0.1",
            warehouse_dsn=SecretStr(warehouse.dsn),
            warehouse_schema=warehouse.schema,
            model=warehouse.model,
        )
        loaded, rows = await _load_all(Load(settings, lake, load_model(warehouse.model)), lake, before)
    had = f"; {before:,} were there already" if before else ""
    output.result(
        {"already_there": before, "loaded": loaded, "rows_written": rows},
        f"Loaded {loaded:,} runs with {rows:,} rows{had}.",
    )


async def _load_all(load: Load, lake: Lake, before: int) -> tuple[int, int]:
    """Load until the warehouse has all runs, including new ones; the number of loaded runs and of rows written."""
    with progress(len(await lake.processed_runs())) as steps:
        steps.done = before
        loaded = rows = 0

        def on_run(record: LoadRecord) -> None:
            nonlocal loaded, rows
            loaded += 1
            rows += sum(table.written for table in record.tables.values())
            steps.step(f"run {record.run}, {rows:,} rows written")

        load.on_run = on_run
        while True:
            count = loaded
            try:
                await load.work(RECONCILE)
            except TotesysError as error:
                raise StageFailed(f"{error} Earlier runs are in the warehouse: call again to continue.") from error
            runs = await lake.processed_runs()
            if loaded + before >= len(runs):
                return loaded, rows
            if loaded == count:
                raise StageFailed(
                    f"{len(runs) - loaded - before:,} runs wait for one that is missing in the processed bucket. "
                    "Trigger transform, and call again to continue."
                )
            steps.total = len(runs)


async def _loaded_runs(warehouse: WarehouseLocation, lake: UUID) -> int:
    """How many runs of the lake the warehouse has. Raises UsageError if it has anything else.

    Raises DatabaseUnavailable, AccessDenied or SettingsError if it cannot be read.
    """
    async with connect(WHAT, warehouse.dsn) as connection:
        try:
            rows = await connection.fetch(f"SELECT lake, count(*) FROM {ETL}.run GROUP BY lake")
        except asyncpg.UndefinedTableError:
            rows = []
        counts = {row[0]: int(row[1]) for row in rows}
        where = f"The warehouse at {redacted(warehouse.dsn)}, schema {warehouse.schema},"
        if others := counts.keys() - {lake}:
            raise UsageError(f"{where} has runs of another lake, {others.pop()}. Name an empty database.")
        for table in load_model(warehouse.model).tables:
            if await _has_other_rows(connection, warehouse.schema, table, ledger=bool(counts)):
                raise UsageError(f"{where} has rows of {table.name} that no run wrote. Name an empty database.")
    return counts.get(lake, 0)


async def _has_other_rows(connection: Connection, schema: str, table: WarehouseTable, *, ledger: bool) -> bool:
    """Whether the table has rows that no run of the ledger wrote; unknown for a dimension that runs wrote."""
    name = qualified(schema, table.name)
    if await connection.fetchval("SELECT to_regclass($1)", name) is None:
        return False
    if not ledger:
        return bool(await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})"))
    if isinstance(table, Fact):
        version_id = f"f.{ident(table.record_id)}"
        query = (
            f"SELECT EXISTS (SELECT FROM ({_GAPS}) AS gap CROSS JOIN LATERAL (SELECT FROM {name} AS f "
            f"WHERE {version_id} > gap.below AND {version_id} < gap.above LIMIT 1) AS other)"
        )
    else:
        written = f"SELECT FROM {ETL}.run_table WHERE table_name = $1 AND rows_written > 0"
        query = f"SELECT NOT EXISTS ({written}) AND EXISTS (SELECT FROM {name})"
    return bool(await connection.fetchval(query, table.name))

"""All SQL of the ledger: which runs are in the warehouse, and what each wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from totesys.connection import Connection
from totesys.lake.records import LoadedTable, ProcessedManifest
from totesys_load.ddl import ETL

# The key of the advisory lock: any number, but the same for every load.
LOCK = 0x6C6F6164657274


@dataclass(frozen=True)
class RecordRange:
    """The record ids that a run took of a fact: some may be of orphans, and if it wrote none there are none."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


async def lock(connection: Connection, longest: timedelta) -> None:
    """Wait until no other load is at work; held to the transaction's end. Raises LockNotAvailableError."""
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", str(int(longest.total_seconds() * 1000)))
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)


async def last_run(connection: Connection, lake: UUID) -> int:
    """The newest run of this lake that is in the warehouse; 0 if there is none."""
    return int(await connection.fetchval(f"SELECT coalesce(max(run), 0) FROM {ETL}.run WHERE lake = $1", lake))


@dataclass(frozen=True)
class Shown:
    """The last run in the warehouse (0: none), and the newest snapshot of which it has all.

    `within_extraction` tells that of the last run's snapshot more is to come.
    """

    last: int
    within_extraction: bool
    snapshot_time: datetime | None


async def runs_between(connection: Connection, lake: UUID, after: int, upto: int, limit: int) -> list[int]:
    """The first runs of this lake after `after` and up to `upto` that are in the warehouse, in order."""
    query = f"SELECT run FROM {ETL}.run WHERE lake = $1 AND run > $2 AND run <= $3 ORDER BY run LIMIT $4"
    return [row["run"] for row in await connection.fetch(query, lake, after, upto, limit)]


async def shown(connection: Connection, lake: UUID) -> Shown:
    """What the warehouse shows of a lake; nothing in one that load has not prepared yet."""
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{ETL}.run"):
        return Shown(0, False, None)
    query = f"SELECT run, complete FROM {ETL}.run WHERE lake = $1 ORDER BY run DESC LIMIT 1"
    last = await connection.fetchrow(query, lake)
    query = f"SELECT max(snapshot_time) FROM {ETL}.run WHERE lake = $1 AND complete"
    moment: datetime | None = await connection.fetchval(query, lake)
    return Shown(last["run"], not last["complete"], moment) if last else Shown(0, False, None)


async def is_overtaken(connection: Connection, manifest: ProcessedManifest) -> bool:
    """Whether a newer extraction of the lake is in the warehouse. They are numbered in their snapshots' order."""
    # No run has a lower number than its extraction, and runs are what the index knows.
    query = f"SELECT EXISTS (SELECT FROM {ETL}.run WHERE lake = $1 AND run > $2 AND extraction > $2)"
    return bool(await connection.fetchval(query, manifest.lake, manifest.extraction))


async def was_overtaken(connection: Connection, manifest: ProcessedManifest) -> bool:
    """Whether a newer extraction came into the warehouse before this run, so that it was passed over."""
    query = f"SELECT EXISTS (SELECT FROM {ETL}.run WHERE lake = $1 AND run > $2 AND run < $3 AND extraction > $2)"
    return bool(await connection.fetchval(query, manifest.lake, manifest.extraction, manifest.run))


async def record_run(connection: Connection, manifest: ProcessedManifest) -> None:
    """Note that the run is being applied. Its key keeps it from being applied twice."""
    await connection.execute(
        f"INSERT INTO {ETL}.run (lake, run, previous, extraction, complete, snapshot_time, rows_written, "
        "trigger, source, xmin_after, swept, high_water_mark, position) "
        "VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11::jsonb, $12::jsonb)",
        manifest.lake,
        manifest.run,
        manifest.previous,
        manifest.extraction,
        manifest.complete,
        manifest.snapshot_time,
        manifest.trigger,
        manifest.source,
        manifest.xmin_after,
        bool(manifest.keys),
        *(record and record.model_dump_json() for record in (manifest.high_water_mark, manifest.position)),
    )


async def record_tables(connection: Connection, manifest: ProcessedManifest, loaded: Mapping[str, LoadedTable]) -> None:
    """Note what the run wrote, in place of what was noted before."""
    await connection.executemany(
        f"INSERT INTO {ETL}.run_table (lake, run, table_name, rows_read, rows_written, rows_quarantined, "
        "first_record_id, last_record_id, rows_deleted, keys_noted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true) "
        "ON CONFLICT (lake, run, table_name) DO UPDATE SET rows_read = excluded.rows_read, "
        "rows_written = excluded.rows_written, rows_quarantined = excluded.rows_quarantined, "
        "first_record_id = excluded.first_record_id, last_record_id = excluded.last_record_id",
        [
            (
                manifest.lake,
                manifest.run,
                name,
                table.rows,
                table.written,
                table.quarantined,
                table.first_record_id,
                table.last_record_id,
                table.deleted,
            )
            for name, table in loaded.items()
        ],
    )
    await connection.execute(
        f"UPDATE {ETL}.run SET applied_at = clock_timestamp(), rows_written = "
        f"(SELECT coalesce(sum(rows_written), 0) FROM {ETL}.run_table WHERE lake = $1 AND run = $2) "
        "WHERE lake = $1 AND run = $2",
        manifest.lake,
        manifest.run,
    )


async def record_range(connection: Connection, lake: UUID, run: int, fact: str) -> RecordRange:
    """The record ids that a run took of a fact; an empty range if the run had no row of it."""
    row = await connection.fetchrow(
        f"SELECT first_record_id, last_record_id FROM {ETL}.run_table WHERE lake = $1 AND run = $2 AND table_name = $3",
        lake,
        run,
        fact,
    )
    return RecordRange(row["first_record_id"], row["last_record_id"]) if row else RecordRange(1, 0)


async def last_record_id(connection: Connection, fact: str) -> int:
    """The greatest record id that any run took of a fact; 0 if none did."""
    query = f"SELECT coalesce(max(last_record_id), 0) FROM {ETL}.run_table WHERE table_name = $1"
    return int(await connection.fetchval(query, fact))


async def written_by_other_extractions(connection: Connection, manifest: ProcessedManifest, table: str) -> bool:
    """Whether any run of another extraction wrote to the table, which is the newest of its lake."""
    # Runs between those of an extraction are of earlier ones, and were passed over.
    written = f"SELECT FROM {ETL}.run_table WHERE table_name = $1 AND rows_written > 0"
    query = (
        f"SELECT EXISTS ({written} AND lake = $2 AND run < $3) "
        f"OR EXISTS ({written} AND lake < $2) OR EXISTS ({written} AND lake > $2)"
    )
    return bool(await connection.fetchval(query, table, manifest.lake, manifest.extraction))


async def first_record_id(connection: Connection, manifest: ProcessedManifest, table: str) -> int | None:
    """The least record id that the manifest's extraction wrote of a fact; None if it wrote none."""
    query = (
        f"SELECT min(first_record_id) FROM {ETL}.run_table JOIN {ETL}.run USING (lake, run) "
        "WHERE table_name = $1 AND lake = $2 AND run >= $3 AND extraction = $3"
    )
    found: int | None = await connection.fetchval(query, table, manifest.lake, manifest.extraction)
    return found


async def loaded_tables(connection: Connection, lake: UUID, run: int) -> dict[str, LoadedTable]:
    """What the ledger knows of a run, as load's record says it."""
    rows = await connection.fetch(f"SELECT * FROM {ETL}.run_table WHERE lake = $1 AND run = $2", lake, run)
    return {
        row["table_name"]: LoadedTable(
            rows=row["rows_read"],
            written=row["rows_written"],
            quarantined=row["rows_quarantined"],
            deleted=row["rows_deleted"],
            first_record_id=row["first_record_id"],
            last_record_id=row["last_record_id"],
            seconds=0,
        )
        for row in rows
    }

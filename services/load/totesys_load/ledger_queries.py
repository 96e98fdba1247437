"""SQL of the ledger: which runs are in the warehouse, and what each wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from totesys.connection import Connection
from totesys.lake.records import LoadedTable, ProcessedManifest
from totesys.schema import ETL

# The columns of `etl.run_table` with the fields of load's record that they hold.
_LOADED = {
    "rows_read": "rows",
    "rows_written": "written",
    "rows_quarantined": "quarantined",
    "rows_deleted": "deleted",
    "first_record_id": "first_record_id",
    "last_record_id": "last_record_id",
}


@dataclass(frozen=True)
class VersionIds:
    """The version ids that a run took of a fact, those of unresolved rows included. A run may have taken none."""

    first: int = 1
    last: int = 0

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class LoadedState:
    """The last run in the warehouse (0: none), and the time of the newest snapshot that is loaded completely.

    `within_extraction` means that more runs of the last run's snapshot follow.
    """

    last: int = 0
    within_extraction: bool = False
    snapshot_time: datetime | None = None


async def last_run(connection: Connection, lake: UUID) -> int:
    """The newest run of this lake in the warehouse; 0 if there is none."""
    return int(await connection.fetchval(f"SELECT coalesce(max(run), 0) FROM {ETL}.run WHERE lake = $1", lake))


async def runs_between(connection: Connection, lake: UUID, after: int, upto: int, limit: int) -> list[int]:
    """The first runs of this lake in the warehouse after `after` and up to `upto`, in order."""
    query = f"SELECT run FROM {ETL}.run WHERE lake = $1 AND run > $2 AND run <= $3 ORDER BY run LIMIT $4"
    return [row["run"] for row in await connection.fetch(query, lake, after, upto, limit)]


async def loaded_state(connection: Connection, lake: UUID) -> LoadedState:
    """What the warehouse has of a lake; nothing if load has not prepared it yet."""
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{ETL}.run"):
        return LoadedState()
    query = f"SELECT run, complete FROM {ETL}.run WHERE lake = $1 ORDER BY run DESC LIMIT 1"
    last = await connection.fetchrow(query, lake)
    query = f"SELECT max(snapshot_time) FROM {ETL}.run WHERE lake = $1 AND complete"
    snapshot_time: datetime | None = await connection.fetchval(query, lake)
    return LoadedState(last["run"], not last["complete"], snapshot_time) if last else LoadedState()


async def is_superseded(connection: Connection, manifest: ProcessedManifest) -> bool:
    """Whether a newer extraction came into the warehouse before this run. Extractions are numbered in order."""
    # A run's number is never below its extraction's, and the index is on runs.
    query = f"SELECT EXISTS (SELECT FROM {ETL}.run WHERE lake = $1 AND run > $2 AND run < $3 AND extraction > $2)"
    return bool(await connection.fetchval(query, manifest.lake, manifest.extraction, manifest.run))


async def record_run(connection: Connection, manifest: ProcessedManifest) -> None:
    """Record that the run is applied. Its primary key prevents applying it twice."""
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
    """Record what the run wrote, replacing an earlier record."""
    # A replay does not find deletions, so it leaves their number alone.
    replaced = ", ".join(f"{column} = excluded.{column}" for column in _LOADED if column != "rows_deleted")
    await connection.executemany(
        f"INSERT INTO {ETL}.run_table (lake, run, table_name, {', '.join(_LOADED)}, keys_noted) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true) "
        f"ON CONFLICT (lake, run, table_name) DO UPDATE SET {replaced}",
        [
            (manifest.lake, manifest.run, name, *(getattr(table, field) for field in _LOADED.values()))
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


async def loaded_tables(connection: Connection, lake: UUID, run: int) -> dict[str, LoadedTable]:
    """What the ledger says a run wrote, in the form of load's record."""
    rows = await connection.fetch(f"SELECT * FROM {ETL}.run_table WHERE lake = $1 AND run = $2", lake, run)
    return {
        row["table_name"]: LoadedTable(**{field: row[column] for column, field in _LOADED.items()}, seconds=0)
        for row in rows
    }


async def version_ids(connection: Connection, manifest: ProcessedManifest, fact: str) -> VersionIds:
    """The version ids that a run took of a fact."""
    query = f"SELECT first_record_id, last_record_id FROM {ETL}.run_table WHERE (lake, run, table_name) = ($1, $2, $3)"
    row = await connection.fetchrow(query, manifest.lake, manifest.run, fact)
    return VersionIds(*row) if row else VersionIds()


async def last_recorded_version_id(connection: Connection, fact: str) -> int:
    """The greatest version id that any run took of a fact; 0 if none did."""
    query = f"SELECT coalesce(max(last_record_id), 0) FROM {ETL}.run_table WHERE table_name = $1"
    return int(await connection.fetchval(query, fact))

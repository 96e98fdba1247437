"""Traces a row of the warehouse back to its run, its snapshot and its objects in the lake."""

import asyncio
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from totesys.connection import Connection, connect
from totesys.errors import BadRequest
from totesys.lake.store import Lake
from totesys.schema import Model
from totesys.sql_keys import is_bigint
from totesys.table import Fact, WarehouseTable
from totesys.types import Kind
from totesys_load.trace.origin_models import Origin, Trace, Values, Version
from totesys_load.trace.origin_objects import OriginObjects
from totesys_load.trace.origin_queries import (
    AppliedRun,
    find_deletions,
    find_versions,
    run_of_version,
    runs_with,
)
from totesys_load.warehouse_connection import WHAT

# The most versions of a fact that are traced, newest first; a request may name an older one.
MAX_VERSIONS = 20
# The most runs that a dimension's row lists, and how many runs are searched for them.
_RUNS, _RUNS_SEARCHED = 3, 20
_STATEMENT_MILLISECONDS = "30000"
_FROM_MANIFEST = {*("run", "extraction", "complete", "trigger", "source", "snapshot_time"), "xmin_before", "xmin_after"}


@dataclass(frozen=True)
class TraceRequest:
    """A row of a warehouse table, given by its key; with `version`, one version of a fact by its id."""

    table: str
    id: str
    version: int | None = None


async def trace_row(lake: Lake, model: Model, dsn: str, schema: str, request: TraceRequest) -> Trace | None:
    """Everything known about a key, or about one version of it; None if nothing is known.

    Raises BadRequest for a table or key that cannot exist; DatabaseUnavailable, LakeUnavailable, AccessDenied or
    SettingsError if warehouse or lake cannot be read.
    """
    table = next((table for table in model.tables if table.name == request.table), None)
    if table is None:
        names = ", ".join(one.name for one in model.tables)
        raise BadRequest(f"There is no warehouse table {request.table!r}. Choose one of {names}.")
    key = _checked_key(table, request.id)
    if request.version is not None and not isinstance(table, Fact):
        raise BadRequest(f"{table.name} is a dimension, which has no versions. Omit the version.")
    counter = await lake.counter()
    if counter is None:
        return None
    objects = OriginObjects(lake, model, table, key)
    async with connect(WHAT, dsn, statement_timeout=_STATEMENT_MILLISECONDS) as connection:
        try:
            found = await find_versions(connection, schema, table, key, request.version, MAX_VERSIONS)
            trace = Trace(
                table=table.name,
                id=key,
                lake=counter.lake,
                versions=[await _version(connection, objects, counter.lake, *one) for one in found],
                deletions=await find_deletions(connection, counter.lake, table, key),
                quarantine=await objects.quarantined(),
            )
        except asyncpg.UndefinedTableError:
            # Load has not created the table yet.
            return None
    return None if trace.empty or (request.version is not None and not trace.versions) else trace


async def _version(
    connection: Connection, objects: OriginObjects, lake: UUID, version_id: int | None, values: Values
) -> Version:
    table = objects.table.name
    if version_id is None:
        runs = await runs_with(connection, lake, table, _RUNS_SEARCHED)
    else:
        runs = await run_of_version(connection, lake, table, version_id)
    origins: list[Origin] = []
    for run in runs:
        origin = await _origin(objects, run)
        if origin and (origin.parquet or version_id is not None):
            origins.append(origin)
        if len(origins) == _RUNS:
            break
    return Version(record_id=version_id, values=values, origins=origins)


async def _origin(objects: OriginObjects, applied: AppliedRun) -> Origin | None:
    lake = objects.lake
    manifest, processed, loaded = await asyncio.gather(
        lake.manifest(applied.run), lake.processed_manifest(applied.run), lake.load_record(applied.run)
    )
    if manifest is None or processed is None:
        return None
    part = await objects.parquet(processed)
    return Origin(
        **manifest.model_dump(include=_FROM_MANIFEST),
        ingested_at=manifest.finished_at,
        transformed_at=processed.finished_at,
        loaded_at=loaded.finished_at if loaded else None,
        applied_at=applied.applied_at,
        parquet=[lake.processed.where(part)] if part else [],
        csv=[lake.ingest.where(key) for key in await objects.csv(manifest)] if part else [],
    )


def _checked_key(table: WarehouseTable, text: str) -> str:
    """The text of a key. Raises BadRequest if the table cannot have it."""
    try:
        if table.has_integer_key:
            if not is_bigint(text):
                raise ValueError("it is not a 64-bit integer")
            return str(int(text))
        if [column.type.kind for column in table.key_columns] == [Kind.DATE]:
            return date.fromisoformat(text).isoformat()
        if "\0" in text:
            raise ValueError("text in Postgres cannot contain NUL")
    except ValueError as error:
        raise BadRequest(f"{text!r} is not a valid {table.key_label}: {error}.") from error
    return text

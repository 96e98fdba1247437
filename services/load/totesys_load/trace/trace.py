"""From a row of the warehouse back to its run, its snapshot and its objects in the lake."""

import asyncio
import re
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from totesys.connection import Connection, connect
from totesys.errors import BadRequest
from totesys.lake.store import Lake
from totesys.schema import Model
from totesys.table import Fact, WarehouseTable
from totesys.types import Kind
from totesys_load.trace import warehouse
from totesys_load.trace.objects import Objects
from totesys_load.trace.records import Origin, Trace, Version
from totesys_load.trace.warehouse import Applied, Key, Row
from totesys_load.warehouse import WHAT

# Versions of a fact that are traced, newest first; `version` asks for an older one.
VERSIONS = 20
# Runs that are shown of a dimension's row, and how many are looked at for them.
_RUNS, _RUNS_LOOKED_AT = 3, 20
_STATEMENT_MILLISECONDS = "30000"
_INTEGER = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True)
class Asked:
    """A row of a warehouse table, by its id; of a fact perhaps one version, by its record id."""

    table: str
    id: str
    version: int | None = None


async def trace_row(lake: Lake, model: Model, dsn: str, schema: str, asked: Asked) -> Trace | None:
    """All that is known of an id, or of one version of it; None where nothing is.

    Raises BadRequest for what no warehouse table can have; DatabaseUnavailable, LakeUnavailable, AccessDenied or
    SettingsError where warehouse or lake cannot be read.
    """
    table = next((table for table in model.tables if table.name == asked.table), None)
    if table is None:
        names = ", ".join(one.name for one in model.tables)
        raise BadRequest(f"There is no warehouse table {asked.table!r}. Name one of {names}.")
    async with connect(WHAT, dsn, statement_timeout=_STATEMENT_MILLISECONDS) as connection:
        try:
            return await _Tracer(lake, model, connection, schema).trace(table, asked.id, asked.version)
        except asyncpg.UndefinedTableError:
            # Load has not made it yet.
            return None


@dataclass(frozen=True)
class _Tracer:
    """Traces rows of one warehouse to one lake."""

    lake: Lake
    model: Model
    connection: Connection
    schema: str

    async def trace(self, table: WarehouseTable, id_: str, version: int | None) -> Trace | None:
        key = parse_key(table, id_)
        if version is not None and not isinstance(table, Fact):
            raise BadRequest(f"{table.name} is a dimension, which has no versions. Leave the version out.")
        counter = await self.lake.counter()
        if counter is None:
            return None
        objects = Objects(self.lake, self.model, table, str(key))
        found = await warehouse.rows(self.connection, self.schema, table, key, version, VERSIONS)
        trace = Trace(
            table=table.name,
            id=str(key),
            lake=counter.lake,
            versions=[await self._version(objects, counter.lake, row) for row in found],
            deletions=await warehouse.deletions(self.connection, counter.lake, table.name, key),
            quarantine=await objects.quarantined(),
        )
        return None if trace.empty or (version is not None and not trace.versions) else trace

    async def _version(self, objects: Objects, lake: UUID, row: Row) -> Version:
        table = objects.table.name
        if row.record_id is None:
            runs = await warehouse.runs_with(self.connection, lake, table, _RUNS_LOOKED_AT)
        else:
            runs = await warehouse.run_of(self.connection, lake, table, row.record_id)
        origins: list[Origin] = []
        for applied in runs:
            origin = await self._origin(objects, applied)
            if origin and (origin.parquet or row.record_id is not None):
                origins.append(origin)
            if len(origins) == _RUNS:
                break
        return Version(record_id=row.record_id, values=row.values, origins=origins)

    async def _origin(self, objects: Objects, applied: Applied) -> Origin | None:
        manifest, processed, loaded = await asyncio.gather(
            self.lake.manifest(applied.run),
            self.lake.processed_manifest(applied.run),
            self.lake.load_record(applied.run),
        )
        if manifest is None or processed is None:
            return None
        part = await objects.parquet(processed)
        return Origin(
            **manifest.model_dump(
                include={*("run", "extraction", "complete", "trigger", "source", "snapshot_time"), "xmin_before"}
            ),
            xmin_after=manifest.xmin_after,
            ingested_at=manifest.finished_at,
            transformed_at=processed.finished_at,
            loaded_at=loaded.finished_at if loaded else None,
            applied_at=applied.applied_at,
            parquet=[self.lake.processed.where(part)] if part else [],
            csv=[self.lake.ingest.where(key) for key in await objects.csv(manifest)] if part else [],
        )


def parse_key(table: WarehouseTable, text: str) -> Key:
    """An id as the table's key. Raises BadRequest if it cannot be one."""
    kind = table.column(table.key).type
    try:
        if kind.is_integer:
            number = int(text) if _INTEGER.fullmatch(text) else None
            if number is None or not -(2**63) <= number < 2**63:
                raise ValueError("it is no integer of 64 bits")
            return number
        if kind.kind is Kind.DATE:
            return date.fromisoformat(text)
        if "\0" in text:
            raise ValueError("no text of Postgres has a NUL")
    except ValueError as error:
        raise BadRequest(f"{text!r} is no {table.key}: {error}.") from error
    return text

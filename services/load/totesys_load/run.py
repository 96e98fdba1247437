"""One run into the warehouse, in the caller's transaction."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

import pyarrow as pa

from totesys.concurrency import prefetched
from totesys.connection import Connection
from totesys.lake.keys import quarantine_key
from totesys.lake.records import BuiltTable, LoadedTable, Part, ProcessedManifest
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.schema import Model
from totesys.sql import qualified
from totesys.table import KEY_RANGES, Dimension, Fact, Table, WarehouseTable
from totesys_load import deletions, dimension_keys, ledger, merge, orphans
from totesys_load.acceptance import Accepted
from totesys_load.copy import TEMPORARY, copy_rows, read_parquet
from totesys_load.key_ranges import BroughtKeys
from totesys_load.orphans import Orphan
from totesys_load.quarantine import ReferencedKeys, orphans_parquet
from totesys_load.unseen import Unseen

log = logger("totesys.load.run")

W = TypeVar("W", bound=WarehouseTable)

# The Parquet of a run that is read at once: it is small as rows, too.
SMALL_BYTES = 256 * 1024


class Seen(Protocol):
    """Whatever looks at the rows of a run on their way."""

    def add(self, rows: pa.Table) -> None: ...


class RunLoad:
    """Loads one run over a connection that is in a transaction and holds the load's lock.

    `filling` remembers, from run to run, which extraction found a dimension empty.
    """

    def __init__(
        self,
        model: Model,
        schema: str,
        lake: Lake,
        connection: Connection,
        manifest: ProcessedManifest,
        filling: dict[str, int],
        accepted: Accepted,
    ) -> None:
        self._model = model
        self._schema = schema
        self._lake = lake
        self._connection = connection
        self._manifest = manifest
        self._unseen = Unseen(connection, schema, manifest, filling)
        self._accepted = accepted
        self._parts: AsyncGenerator[pa.Table, None]

    async def apply(self) -> dict[str, LoadedTable]:
        """Write the run's rows and its ledger row; what was done, by table."""
        await ledger.record_run(self._connection, self._manifest)
        async with self._reading(*self._model.dimensions, *self._model.facts):
            loaded = await self._upsert_dimensions()
            await self._place_orphans()
            for fact, built in self._in_run(self._model.facts):
                loaded[fact.name] = await self._append(fact, built)
        await self._take_absent(loaded)
        await ledger.record_tables(self._connection, self._manifest, loaded)
        return loaded

    async def pass_over(self) -> dict[str, LoadedTable]:
        """Write nothing but the ledger row."""
        await ledger.record_run(self._connection, self._manifest)
        return {}

    async def _upsert_dimensions(self) -> dict[str, LoadedTable]:
        dimensions = self._in_run(self._model.dimensions)
        return {dimension.name: await self._upsert(dimension, built) for dimension, built in dimensions}

    def _in_run(self, tables: Iterable[W]) -> list[tuple[W, BuiltTable]]:
        return [(table, built) for table in tables if (built := self._manifest.tables.get(table.name))]

    async def _upsert(self, dimension: Dimension, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        brought = BroughtKeys(dimension.key)
        unseen = await self._unseen.of_dimension(dimension, built)
        if unseen and self._accepted.straight(dimension):
            await self._copy(self._schema, dimension.name, built, brought)
            written = built.rows
        else:
            await self._copy_incoming(dimension, built, brought)
            await self._take_back(dimension)
            written = (await merge.upsert_dimension(self._connection, self._schema, dimension)).written
            await merge.drop_incoming(self._connection)
        await dimension_keys.note(self._connection, dimension.name, self._manifest, brought.ranges)
        return LoadedTable(rows=built.rows, written=written, seconds=since(started))

    async def _append(self, fact: Fact, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        before = max(
            await merge.last_record_id(self._connection, self._schema, fact),
            await ledger.last_record_id(self._connection, fact.name),
        )
        referenced = ReferencedKeys(self._model, fact)
        if self._accepted.straight(fact):
            written = await self._append_versions(fact, built, referenced)
            last = await merge.last_record_id(self._connection, self._schema, fact)
            taken = await self._take_orphans(fact, referenced, self._schema, fact.name, before + 1)
        else:
            await self._copy_incoming(fact, built, referenced)
            await self._take_back(fact)
            written = await merge.leave_out_known(self._connection, self._schema, fact, before + 1)
            numbers = merge.numbers_of(self._accepted.sequences[fact.name])
            last = await merge.number_incoming(self._connection, fact, numbers)
            taken = await self._insert_incoming(fact, referenced)
        # An orphan keeps its place, and a run without versions an empty range, for when the run is loaded again.
        return LoadedTable(
            rows=built.rows,
            written=written - len(taken),
            quarantined=len(taken),
            first_record_id=before + 1,
            last_record_id=max(before, last),
            seconds=since(started),
        )

    async def _append_versions(self, fact: Fact, built: BuiltTable, referenced: ReferencedKeys) -> int:
        if await self._unseen.of_fact(fact, built):
            await self._copy(self._schema, fact.name, built, referenced)
            return built.rows
        await self._copy_incoming(fact, built, referenced)
        await self._take_back(fact)
        written = await merge.append_versions(self._connection, self._schema, fact)
        await merge.drop_incoming(self._connection)
        return written

    async def _insert_incoming(self, fact: Fact, referenced: ReferencedKeys) -> Sequence[Orphan]:
        """Insert the numbered rows, without the orphans, which a foreign key would refuse; the orphans."""
        taken = await self._take_orphans(fact, referenced, TEMPORARY, merge.INCOMING, 0)
        await merge.insert_incoming(self._connection, self._schema, fact)
        await merge.drop_incoming(self._connection)
        return taken

    async def _take_orphans(
        self, fact: Fact, referenced: ReferencedKeys, schema: str, name: str, first: int
    ) -> Sequence[Orphan]:
        rows = qualified(schema, name)
        taken = await referenced.take_orphans(self._connection, self._schema, rows, first)
        if taken:
            await orphans.keep(self._connection, fact, self._manifest, taken)
            known = self._manifest.quarantine.get(fact.name)
            part = len(known.parts) if known else 0
            key = quarantine_key(self._model.lake_schema(fact), fact.name, self._manifest.run, part)
            await self._lake.processed.put(key, orphans_parquet(fact, taken))
        return taken

    async def _place_orphans(self) -> None:
        """Bring in what has waited for a dimension's row that is there now."""
        for name in await orphans.waiting(self._connection):
            fact = self._model.table(name)
            assert isinstance(fact, Fact)
            if placed := await orphans.place(self._connection, self._schema, self._model, fact):
                log.info(LogEvent.REFERENCES_RESOLVED, run=self._manifest.run, table=name, rows=placed)

    async def _take_back(self, table: WarehouseTable) -> None:
        if returned := await deletions.take_back(self._connection, table, self._manifest):
            log.info(LogEvent.DELETED_ROWS_RESTORED, run=self._manifest.run, table=table.name, rows=returned)

    async def _take_absent(self, loaded: dict[str, LoadedTable]) -> None:
        """Record what the run's sweep did not find, of every table whose keys it brought."""
        for table in self._model.tables:
            if table.name not in self._manifest.keys:
                continue
            started = time.monotonic()
            await deletions.make_present(self._connection)
            for part in self._manifest.keys[table.name].parts:
                await copy_rows(self._connection, TEMPORARY, deletions.PRESENT, await self._read(KEY_RANGES, part))
            deleted = await deletions.take_absent(self._connection, self._schema, table, self._manifest)
            before = loaded.get(table.name, LoadedTable(rows=0, written=0, seconds=0))
            seconds = round(before.seconds + since(started), 6)
            loaded[table.name] = before.model_copy(update={"deleted": deleted, "seconds": seconds})

    async def _copy_incoming(self, table: WarehouseTable, built: BuiltTable, seen: Seen) -> None:
        await merge.make_incoming(self._connection, self._schema, table)
        await self._copy(TEMPORARY, merge.INCOMING, built, seen)
        await merge.analyze_incoming(self._connection)

    async def _copy(self, schema: str, name: str, built: BuiltTable, seen: Seen) -> None:
        for _ in built.parts:
            rows = await anext(self._parts)
            seen.add(rows)
            await copy_rows(self._connection, schema, name, rows)

    @asynccontextmanager
    async def _reading(self, *tables: WarehouseTable) -> AsyncIterator[None]:
        """Read the tables' parts, in their order, the next one while the last one is written; small ones at once."""
        parts = [(table, part) for table, built in self._in_run(tables) for part in built.parts]
        ahead = len(parts) if sum(part.bytes for _, part in parts) <= SMALL_BYTES else 1
        reads = [partial(self._read, table, part) for table, part in parts]
        async with aclosing(prefetched(reads, ahead)) as self._parts:
            yield

    async def _read(self, table: Table, part: Part) -> pa.Table:
        body = await self._lake.processed.get_part(part)
        return await asyncio.to_thread(read_parquet, body, table, self._lake.processed.where(part.key))


def since(started: float) -> float:
    return round(time.monotonic() - started, 6)

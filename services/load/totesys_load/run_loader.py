"""Loads one run into the warehouse, in the caller's transaction."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeVar

import pyarrow as pa

from totesys.concurrency import prefetched
from totesys.lake.keys import quarantine_key
from totesys.lake.records import BuiltTable, LoadedTable, Part, ProcessedManifest
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys.logs import logger
from totesys.schema import Model
from totesys.sql import literal, qualified
from totesys.table import Dimension, Fact, Table, WarehouseTable
from totesys_load import deletions, dimension_keys, ledger_queries, staging, unresolved_references
from totesys_load.compatibility import WritePlan
from totesys_load.insert_only import InsertOnlyCheck
from totesys_load.key_index import KeyIndexes
from totesys_load.key_ranges import NumberRange, key_numbers, ranges_of, union
from totesys_load.parquet_copy import TEMPORARY, copy_batches
from totesys_load.parquet_parts import ParquetPart, get_part
from totesys_load.unresolved_references import ReferencedKeys
from totesys_load.warehouse_connection import WarehouseConnection

log = logger("totesys.load.run")

W = TypeVar("W", bound=WarehouseTable)
# Sees the rows of a run on their way.
Observer = Callable[[pa.RecordBatch], None]

# A run with less Parquet than this is read at once: its rows fit into memory, too.
SMALL_BYTES = 256 * 1024


@dataclass(frozen=True)
class LoadContext:
    """What the loads of all runs have in common.

    `filling` remembers, from run to run, which extraction found a dimension empty.
    """

    model: Model
    lake: Lake
    warehouse: WarehouseConnection
    write_plan: WritePlan
    filling: dict[str, int]


class RunLoader:
    """Loads one run over a connection that is in a transaction and holds the load lock."""

    def __init__(self, context: LoadContext, manifest: ProcessedManifest) -> None:
        self._context = context
        self._model = context.model
        self._warehouse = context.warehouse
        self._connection = context.warehouse.connection
        self._manifest = manifest
        self._parts: AsyncGenerator[ParquetPart, None]
        self._key_indexes: KeyIndexes

    async def apply(self) -> dict[str, LoadedTable]:
        """Write the run's rows and its ledger rows. Returns what was written, by table."""
        await ledger_queries.record_run(self._connection, self._manifest)
        self._key_indexes = await KeyIndexes.read(self._warehouse, self._model.facts)
        async with self._reading():
            loaded = await self._load_dimensions()
            await self._place_resolved()
            for fact, built in self._in_run(self._model.facts):
                loaded[fact.name] = await self._append(fact, built)
        if self._manifest.complete:
            await self._key_indexes.build(*self._model.facts)
        await self._record_deletions(loaded)
        await ledger_queries.record_tables(self._connection, self._manifest, loaded)
        return loaded

    async def _load_dimensions(self) -> dict[str, LoadedTable]:
        dimensions = self._in_run(self._model.dimensions)
        return {dimension.name: await self._upsert(dimension, built) for dimension, built in dimensions}

    def _in_run(self, tables: Iterable[W]) -> list[tuple[W, BuiltTable]]:
        return [(table, built) for table in tables if (built := self._manifest.tables.get(table.name))]

    def _insert_only(self) -> InsertOnlyCheck:
        return InsertOnlyCheck(self._warehouse, self._manifest, self._context.filling)

    async def _upsert(self, dimension: Dimension, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        keys: list[NumberRange] = []

        def collect(rows: pa.RecordBatch) -> None:
            keys.extend(ranges_of(key_numbers(dimension, rows)))

        # The check comes first: it also remembers which extraction fills the dimension.
        insert_only = await self._insert_only().dimension(dimension, built)
        if insert_only and self._context.write_plan.copies_into(dimension):
            await self._copy(self._warehouse.schema, dimension.name, built, collect)
            written = built.rows
        else:
            await self._copy_incoming(dimension, built, collect)
            await self._record_returned(dimension)
            written = (await staging.upsert_dimension(self._warehouse, dimension, built.rows)).written
            await staging.drop_incoming(self._connection)
        await dimension_keys.record_keys(self._connection, dimension.name, self._manifest, union(keys))
        return LoadedTable(rows=built.rows, written=written, seconds=since(started))

    async def _append(self, fact: Fact, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        before = max(
            await staging.last_version_id(self._warehouse, fact),
            await ledger_queries.last_recorded_version_id(self._connection, fact.name),
        )
        referenced = ReferencedKeys(self._warehouse, self._model, fact)
        if self._context.write_plan.copies_into(fact):
            written = await self._append_versions(fact, built, referenced)
            last = await staging.last_version_id(self._warehouse, fact)
            taken = await self._take_unresolved(fact, referenced, self._warehouse.relation(fact), before + 1)
        else:
            await self._key_indexes.build(fact)
            await self._copy_incoming(fact, built, referenced.add)
            await self._record_returned(fact)
            written = await staging.drop_unchanged(self._warehouse, fact, before + 1)
            ids = f"nextval({literal(self._context.write_plan.sequences[fact.name])})"
            last = await staging.number_incoming(self._connection, fact, ids)
            taken = await self._insert_incoming(fact, referenced)
        # Unresolved rows keep their version ids, and a run without versions an empty range, for a replay of the run.
        ids_taken = ledger_queries.VersionIds(before + 1, max(before, last))
        return loaded_fact(built, written, taken, ids_taken, started)

    async def _append_versions(self, fact: Fact, built: BuiltTable, referenced: ReferencedKeys) -> int:
        if await self._insert_only().fact(fact, built):
            if not self._manifest.complete:
                await self._key_indexes.leave_out(fact)
            await self._copy(self._warehouse.schema, fact.name, built, referenced.add)
            return built.rows
        await self._key_indexes.build(fact)
        await self._copy_incoming(fact, built, referenced.add)
        await self._record_returned(fact)
        written = await staging.append_versions(self._warehouse, fact)
        await staging.drop_incoming(self._connection)
        return written

    async def _insert_incoming(self, fact: Fact, referenced: ReferencedKeys) -> int:
        """Insert the numbered rows, except unresolved ones, which a foreign key would reject. Returns how many."""
        taken = await self._take_unresolved(fact, referenced, qualified(TEMPORARY, staging.INCOMING), 0)
        await staging.insert_incoming(self._warehouse, fact)
        await staging.drop_incoming(self._connection)
        return taken

    async def _take_unresolved(self, fact: Fact, referenced: ReferencedKeys, relation: str, first: int) -> int:
        taken = await referenced.take_unresolved(relation, first, self._manifest)
        if taken:
            known = self._manifest.quarantine.get(fact.name)
            part = len(known.parts) if known else 0
            key = quarantine_key(self._model.lake_schema(fact), fact.name, self._manifest.run, part)
            body = await unresolved_references.unresolved_parquet(self._connection, fact, self._manifest)
            await self._context.lake.processed.put(key, body)
        return taken

    async def _place_resolved(self) -> None:
        """Write the rows of earlier runs whose dimension rows have arrived."""
        for name, rows in (await unresolved_references.place_resolved(self._warehouse, self._model)).items():
            log.info(LogEvent.REFERENCES_RESOLVED, run=self._manifest.run, table=name, rows=rows)

    async def _record_deletions(self, loaded: dict[str, LoadedTable]) -> None:
        """Record as deleted the keys that a deletion sweep did not find, and those from which no row was built."""
        sweep = self._manifest.keys, deletions.record_absent
        build = self._manifest.left_out, deletions.record_left_out
        for table, (keys, record) in product(self._model.tables, (sweep, build)):
            if table.name not in keys:
                continue
            started = time.monotonic()
            if isinstance(table, Fact):
                await self._key_indexes.build(table)
            await deletions.make_keys(self._connection, table)
            for part in keys[table.name].parts:
                await self._copy_part(await self._read(table.keys, part), TEMPORARY, deletions.KEYS)
            deleted = await record(self._warehouse, table, self._manifest)
            before = loaded.get(table.name, LoadedTable(rows=0, written=0, seconds=0))
            changes = {"deleted": before.deleted + deleted, "seconds": round(before.seconds + since(started), 6)}
            loaded[table.name] = before.model_copy(update=changes)

    async def _copy_incoming(self, table: WarehouseTable, built: BuiltTable, observe: Observer) -> None:
        """Copy the run's rows of a table into the temporary table."""
        await staging.make_incoming(self._warehouse, table)
        await self._copy(TEMPORARY, staging.INCOMING, built, observe, ordered_by=table.key_names)
        await staging.analyze_incoming(self._connection, table)

    async def _record_returned(self, table: WarehouseTable) -> None:
        """Record which deleted keys are among the incoming rows and therefore exist again."""
        if returned := await deletions.record_returned(self._warehouse, table, self._manifest):
            log.info(LogEvent.DELETED_ROWS_RESTORED, run=self._manifest.run, table=table.name, rows=returned)

    async def _copy(
        self, schema: str, name: str, built: BuiltTable, observe: Observer, ordered_by: Sequence[str] = ()
    ) -> None:
        for _ in built.parts:
            await self._copy_part(await anext(self._parts), schema, name, observe, ordered_by)

    async def _copy_part(
        self,
        part: ParquetPart,
        schema: str,
        name: str,
        observe: Observer | None = None,
        ordered_by: Sequence[str] = (),
    ) -> None:
        """Copy a part. Each batch is sorted by the columns `ordered_by`, which makes lookups by them faster."""

        def observed() -> Iterator[pa.RecordBatch]:
            for batch in part.batches():
                if observe is not None:
                    observe(batch)
                yield batch.sort_by([(name, "ascending") for name in ordered_by]) if ordered_by else batch

        await copy_batches(self._connection, schema, name, part.columns, observed())

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """Read the parts, dimensions first, one ahead of what is being written, or all at once if they are small."""
        tables = (*self._model.dimensions, *self._model.facts)
        parts = [(table, part) for table, built in self._in_run(tables) for part in built.parts]
        ahead = len(parts) if sum(part.bytes for _, part in parts) <= SMALL_BYTES else 1
        reads = [partial(self._read, table, part) for table, part in parts]
        async with aclosing(prefetched(reads, ahead)) as self._parts:
            yield

    async def _read(self, table: Table, part: Part) -> ParquetPart:
        return await get_part(self._context.lake.processed, part, table)


def loaded_fact(
    built: BuiltTable, written: int, taken: int, ids: ledger_queries.VersionIds, started: float
) -> LoadedTable:
    """What was written of a fact: `written` versions, minus the unresolved rows that were taken out."""
    return LoadedTable(
        rows=built.rows,
        written=written - taken,
        quarantined=taken,
        first_record_id=ids.first,
        last_record_id=ids.last,
        seconds=since(started),
    )


def since(started: float) -> float:
    """The seconds since a reading of the monotonic clock."""
    return round(time.monotonic() - started, 6)

"""One run into the warehouse, in the caller's transaction."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TypeVar

import pyarrow as pa

from totesys.errors import WarehouseMismatch
from totesys.lake.keys import quarantine_key
from totesys.lake.lake import Lake
from totesys.lake.prefetch import prefetched
from totesys.lake.records import BuiltTable, LoadedTable, Part, ProcessedManifest
from totesys.postgres import Connection
from totesys.schema import Model
from totesys.table import Dimension, Fact, WarehouseTable
from totesys_load import ledger, merge
from totesys_load.copy import TEMPORARY, copy_rows, read_parquet
from totesys_load.quarantine import Orphan, ReferencedKeys, orphans_parquet

W = TypeVar("W", bound=WarehouseTable)


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
    ) -> None:
        self._model = model
        self._schema = schema
        self._lake = lake
        self._connection = connection
        self._manifest = manifest
        self._filling = filling
        self._parts: AsyncGenerator[pa.Table, None]

    async def apply(self) -> dict[str, LoadedTable]:
        """Write the run's rows and its ledger row; what was done, by table."""
        await ledger.record_run(self._connection, self._manifest)
        async with self._reading(*self._model.dimensions, *self._model.facts):
            loaded = await self._upsert_dimensions()
            for fact, built in self._in_run(self._model.facts):
                loaded[fact.name] = await self._append(fact, built)
        await ledger.record_tables(self._connection, self._manifest, loaded)
        return loaded

    async def pass_over(self) -> dict[str, LoadedTable]:
        """Write nothing but the ledger row."""
        await ledger.record_run(self._connection, self._manifest)
        return {}

    async def apply_dimensions(self) -> dict[str, LoadedTable]:
        """Bring the run's dimension rows in; what was done, by table."""
        async with self._reading(*self._model.dimensions):
            return await self._upsert_dimensions()

    async def replace_facts(self) -> dict[str, LoadedTable]:
        """Write the run's facts again, in the place of what it wrote. Raises WarehouseMismatch if they do not fit."""
        async with self._reading(*self._model.facts):
            loaded = {fact.name: await self._replace(fact, built) for fact, built in self._in_run(self._model.facts)}
        await ledger.record_tables(self._connection, self._manifest, loaded)
        return loaded

    async def _upsert_dimensions(self) -> dict[str, LoadedTable]:
        dimensions = self._in_run(self._model.dimensions)
        return {dimension.name: await self._upsert(dimension, built) for dimension, built in dimensions}

    def _in_run(self, tables: Iterable[W]) -> list[tuple[W, BuiltTable]]:
        return [(table, built) for table in tables if (built := self._manifest.tables.get(table.name))]

    async def _upsert(self, dimension: Dimension, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        if await self._is_filling(dimension) or await self._is_new(dimension, built):
            await self._copy(self._schema, dimension.name, dimension, built)
            written = built.rows
        else:
            await self._copy_incoming(dimension, built)
            written = await merge.upsert_dimension(self._connection, self._schema, dimension)
            await merge.drop_incoming(self._connection)
        return LoadedTable(rows=built.rows, written=written, seconds=_since(started))

    async def _append(self, fact: Fact, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        before = max(
            await merge.last_record_id(self._connection, self._schema, fact),
            await ledger.last_record_id(self._connection, fact.name),
        )
        referenced = ReferencedKeys(self._model, fact)
        if await self._is_new_extraction(fact) or await self._is_new(fact, built):
            await self._copy(self._schema, fact.name, fact, built, referenced)
            written = built.rows
        else:
            await self._copy_incoming(fact, built, referenced)
            written = await merge.append_versions(self._connection, self._schema, fact)
            await merge.drop_incoming(self._connection)
        # An orphan keeps its place, and a run without versions an empty range, for when the run is loaded again.
        last = max(before, await merge.last_record_id(self._connection, self._schema, fact))
        orphans = await self._take_orphans(fact, referenced, before + 1)
        return LoadedTable(
            rows=built.rows,
            written=written - len(orphans),
            quarantined=len(orphans),
            first_record_id=before + 1,
            last_record_id=last,
            seconds=_since(started),
        )

    async def _replace(self, fact: Fact, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        place = await ledger.record_range(self._connection, self._manifest.lake, self._manifest.run, fact.name)
        referenced = ReferencedKeys(self._model, fact)
        await self._copy_incoming(fact, built, referenced)
        written = await merge.leave_out_known(self._connection, self._schema, fact, place.first)
        if written > place.size:
            raise WarehouseMismatch(
                f"Run {self._manifest.run} now has {written} new versions of {fact.name} and had {place.size}: "
                "they do not fit between those of the runs around it. Make a new warehouse with `totesys rebuild`."
            )
        await merge.replace_versions(self._connection, self._schema, fact, place.first, place.last)
        await merge.drop_incoming(self._connection)
        orphans = await self._take_orphans(fact, referenced, place.first)
        return LoadedTable(
            rows=built.rows,
            written=written - len(orphans),
            quarantined=len(orphans),
            first_record_id=place.first,
            last_record_id=place.last,
            seconds=_since(started),
        )

    async def _take_orphans(self, fact: Fact, referenced: ReferencedKeys, first: int) -> Sequence[Orphan]:
        orphans = await referenced.take_orphans(self._connection, self._schema, first)
        if orphans:
            known = self._manifest.quarantine.get(fact.name)
            part = len(known.parts) if known else 0
            key = quarantine_key(self._model.lake_schema(fact), fact.name, self._manifest.run, part)
            await self._lake.processed.put(key, orphans_parquet(fact, orphans))
        return orphans

    async def _is_new(self, table: WarehouseTable, built: BuiltTable) -> bool:
        """Whether the table has no row of the run's keys, so that all may be appended unseen."""
        if built.first_key is None or built.last_key is None:
            return False
        return not await merge.has_key_between(self._connection, self._schema, table, built.first_key, built.last_key)

    async def _is_filling(self, dimension: Dimension) -> bool:
        """Whether all the dimension's rows are of this run's extraction: a row is in one run of an extraction only."""
        if not await merge.has_rows(self._connection, self._schema, dimension):
            self._filling[dimension.name] = self._manifest.extraction
        filled_by_this = self._filling.get(dimension.name) == self._manifest.extraction
        return (
            filled_by_this
            and bool(dimension.sources)
            and not await ledger.written_by_other_extractions(self._connection, self._manifest, dimension.name)
        )

    async def _is_new_extraction(self, fact: Fact) -> bool:
        """Whether all the fact's rows are of this run's extraction, whose runs have no key in common."""
        if await ledger.written_by_other_extractions(self._connection, self._manifest, fact.name):
            return False
        least = await merge.least_record_id(self._connection, self._schema, fact)
        first = await ledger.first_record_id(self._connection, self._manifest, fact.name)
        return least is None or (first is not None and least >= first)

    async def _copy_incoming(
        self, table: WarehouseTable, built: BuiltTable, referenced: ReferencedKeys | None = None
    ) -> None:
        await merge.make_incoming(self._connection, self._schema, table)
        await self._copy(TEMPORARY, merge.INCOMING, table, built, referenced)
        await merge.analyze_incoming(self._connection)

    async def _copy(
        self, schema: str, name: str, table: WarehouseTable, built: BuiltTable, referenced: ReferencedKeys | None = None
    ) -> None:
        for _ in built.parts:
            rows = await anext(self._parts)
            if referenced is not None:
                referenced.add(rows)
            await copy_rows(self._connection, schema, name, rows)

    @asynccontextmanager
    async def _reading(self, *tables: WarehouseTable) -> AsyncIterator[None]:
        """Read the tables' parts, in their order, the next one while the last one is written."""
        parts = [partial(self._read, table, part) for table, built in self._in_run(tables) for part in built.parts]
        async with aclosing(prefetched(parts)) as self._parts:
            yield

    async def _read(self, table: WarehouseTable, part: Part) -> pa.Table:
        body = await self._lake.processed.get_part(part)
        return await asyncio.to_thread(read_parquet, body, table, self._lake.processed.where(part.key))


def _since(started: float) -> float:
    return round(time.monotonic() - started, 6)

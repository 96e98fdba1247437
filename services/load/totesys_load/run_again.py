"""One run that is in the warehouse, loaded again into its own place, in the caller's transaction."""

import time

import pyarrow as pa

from totesys.errors import WarehouseMismatch
from totesys.lake.records import BuiltTable, LoadedTable
from totesys.table import Dimension, Fact
from totesys_load import dimension_keys, ledger, merge, orphans
from totesys_load.copy import TEMPORARY, copy_rows
from totesys_load.key_ranges import KeyRange, are_in, numbers, ranges_of, union
from totesys_load.quarantine import ReferencedKeys
from totesys_load.run import RunLoad, since


class LaterKeysUnknown(Exception):
    """The run has other values for a dimension's rows, and nobody knows yet whether a later run brought them too."""

    def __init__(self, dimension: Dimension) -> None:
        super().__init__(dimension.name)
        self.dimension = dimension


class RunAgain(RunLoad):
    """Loads one run again: its facts in the place of what it wrote, and what no later run brought of its dimensions.

    So what readers see is right after each run that is loaded again, whatever becomes of the others.
    """

    async def apply(self) -> dict[str, LoadedTable]:
        """Write the run's rows; what was done, by table.

        Raises LaterKeysUnknown, or WarehouseMismatch if the facts do not fit into their place. Then nothing is to stay.
        """
        async with self._reading(*self._model.dimensions, *self._model.facts):
            loaded = {
                dimension.name: await self._upsert(dimension, built)
                for dimension, built in self._in_run(self._model.dimensions)
            }
            for fact, built in self._in_run(self._model.facts):
                loaded[fact.name] = await self._replace(fact, built)
        facts = {fact.name: loaded[fact.name] for fact, _ in self._in_run(self._model.facts)}
        await ledger.record_tables(self._connection, self._manifest, facts)
        return loaded

    async def _upsert(self, dimension: Dimension, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        brought: list[KeyRange] = []
        for _ in built.parts:
            rows = await anext(self._parts)
            kept, ranges = await self._not_brought_later(dimension, rows)
            if not brought and ranges:
                await merge.make_incoming(self._connection, self._schema, dimension)
            if ranges:
                await copy_rows(self._connection, TEMPORARY, merge.INCOMING, kept)
            brought += ranges
        upserted = merge.Upserted(0, 0)
        if brought:
            await merge.analyze_incoming(self._connection)
            upserted = await merge.upsert_dimension(self._connection, self._schema, dimension)
            await merge.drop_incoming(self._connection)
            await dimension_keys.note(self._connection, dimension.name, self._manifest, union(brought))
        if upserted.updated and await self._may_be_older(dimension):
            raise LaterKeysUnknown(dimension)
        await dimension_keys.set_noted(self._connection, dimension.name, self._manifest.lake, self._manifest.run)
        if upserted.inserted:
            await self._place_orphans()
        return LoadedTable(rows=built.rows, written=upserted.written, seconds=since(started))

    async def _may_be_older(self, dimension: Dimension) -> bool:
        return bool(await dimension_keys.runs_not_noted(self._connection, dimension.name, self._manifest, 1))

    async def _not_brought_later(self, dimension: Dimension, rows: pa.Table) -> tuple[pa.Table, list[KeyRange]]:
        """The rows that no later run brought, as far as is noted, and their keys."""
        keys = numbers(rows[dimension.key])
        ranges = ranges_of(keys)
        ours = await dimension_keys.not_brought_later(self._connection, dimension.name, self._manifest, ranges)
        return (rows if ours == ranges else rows.filter(are_in(keys, ours))), ours

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
        await merge.delete_versions(self._connection, self._schema, fact, place.first, place.last)
        await merge.number_incoming(self._connection, fact, merge.numbers_from(place.first))
        await orphans.forget(self._connection, fact, self._manifest)
        taken = await self._insert_incoming(fact, referenced)
        return LoadedTable(
            rows=built.rows,
            written=written - len(taken),
            quarantined=len(taken),
            first_record_id=place.first,
            last_record_id=place.last,
            seconds=since(started),
        )

"""Replays one run that is in the warehouse into its own place, in the caller's transaction."""

import time

from totesys.connection import Connection
from totesys.errors import WarehouseMismatch
from totesys.lake.records import BuiltTable, LoadedTable, RunRecord
from totesys.lake.store import Lake
from totesys.table import Dimension, Fact
from totesys_load import dimension_keys, ledger_queries, staging, unresolved_references
from totesys_load.key_index import KeyIndexes
from totesys_load.key_ranges import NumberRange, are_in, key_numbers, ranges_of, union
from totesys_load.parquet_copy import TEMPORARY, copy_batches
from totesys_load.parquet_parts import get_part
from totesys_load.run_loader import RunLoader, loaded_fact, since
from totesys_load.unresolved_references import ReferencedKeys

# Runs whose keys are recorded in one transaction.
_RUNS_AT_ONCE = 20


class LaterKeysUnknown(Exception):
    """The run changes rows of a dimension, and the ledger does not say whether a later run wrote them."""

    def __init__(self, dimension: Dimension) -> None:
        super().__init__(dimension.name)
        self.dimension = dimension


class RunReplay(RunLoader):
    """Replays one run: its facts in place of what it wrote, and those dimension rows that no later run wrote.

    So the warehouse is right after each replayed run, whatever happens to the others.
    """

    async def apply(self) -> dict[str, LoadedTable]:
        """Write the run's rows. Returns what was written, by table.

        Raises LaterKeysUnknown, or WarehouseMismatch if the facts do not fit into their place. Roll back then.
        """
        # It looks up every key.
        await (await KeyIndexes.read(self._warehouse, self._model.facts)).build(*self._model.facts)
        async with self._reading():
            loaded = await self._load_dimensions()
            facts = {fact.name: await self._replace(fact, built) for fact, built in self._in_run(self._model.facts)}
        await ledger_queries.record_tables(self._connection, self._manifest, facts)
        return loaded | facts

    async def _upsert(self, dimension: Dimension, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        name, written_keys, rows = dimension.name, list[NumberRange](), 0
        for _ in built.parts:
            part = await anext(self._parts)
            for batch in part.batches():
                keys = key_numbers(dimension, batch)
                ranges = ranges_of(keys)
                ours = await dimension_keys.not_written_later(self._connection, name, self._manifest, ranges)
                if not ours:
                    continue
                if not written_keys:
                    await staging.make_incoming(self._warehouse, dimension)
                kept = batch if ours == ranges else batch.filter(are_in(keys, ours))
                await copy_batches(self._connection, TEMPORARY, staging.INCOMING, part.columns, [kept])
                written_keys += ours
                rows += kept.num_rows
        upserted = staging.Upserted()
        if written_keys:
            await staging.analyze_incoming(self._connection, dimension)
            upserted = await staging.upsert_dimension(self._warehouse, dimension, rows)
            await staging.drop_incoming(self._connection)
            await dimension_keys.record_keys(self._connection, name, self._manifest, union(written_keys))
        if upserted.updated and await dimension_keys.unrecorded_runs(self._connection, name, self._manifest, 1):
            raise LaterKeysUnknown(dimension)
        await dimension_keys.mark_recorded(self._connection, name, self._manifest.lake, self._manifest.run)
        if upserted.inserted:
            await self._place_resolved()
        return LoadedTable(rows=built.rows, written=upserted.written, seconds=since(started))

    async def _replace(self, fact: Fact, built: BuiltTable) -> LoadedTable:
        started = time.monotonic()
        ids = await ledger_queries.version_ids(self._connection, self._manifest, fact.name)
        referenced = ReferencedKeys(self._warehouse, self._model, fact)
        await self._copy_incoming(fact, built, referenced.add)
        written = await staging.drop_unchanged(self._warehouse, fact, ids.first)
        if written > ids.count:
            raise WarehouseMismatch(
                f"Run {self._manifest.run} now has {written} new versions of {fact.name} and had {ids.count}. They do "
                "not fit between those of the neighbouring runs. Make a new warehouse with `totesys rebuild`."
            )
        await staging.delete_versions(self._warehouse, fact, ids.first, ids.last)
        await staging.number_incoming(self._connection, fact, staging.numbers_from(ids.first))
        await unresolved_references.delete_unresolved(self._connection, fact, self._manifest)
        taken = await self._insert_incoming(fact, referenced)
        return loaded_fact(built, written, taken, ids, started)


async def record_later_keys(connection: Connection, lake: Lake, dimension: Dimension, run: RunRecord) -> int:
    """Record the keys that some runs after this one wrote, newest first, in the caller's transaction.

    A ledger from an earlier release lacks them. Returns the number of runs; 0 means that all are recorded.
    """
    later = await dimension_keys.unrecorded_runs(connection, dimension.name, run, _RUNS_AT_ONCE)
    for number in later:
        if manifest := await lake.processed_manifest(number):
            ranges: list[NumberRange] = []
            built = manifest.tables.get(dimension.name)
            for part in built.parts if built else ():
                for batch in (await get_part(lake.processed, part, dimension)).batches():
                    ranges += ranges_of(key_numbers(dimension, batch))
            ours = await dimension_keys.not_written_later(connection, dimension.name, manifest, union(ranges))
            await dimension_keys.record_keys(connection, dimension.name, manifest, ours)
        await dimension_keys.mark_recorded(connection, dimension.name, run.lake, number)
    return len(later)

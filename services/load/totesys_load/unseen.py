"""Whether a table has no row of a run's keys, so that its rows may be appended without a look at each."""

from dataclasses import dataclass

from totesys.connection import Connection
from totesys.lake.records import BuiltTable, ProcessedManifest
from totesys.table import Dimension, Fact, WarehouseTable
from totesys_load import deletions, ledger, merge, orphans


@dataclass(frozen=True)
class Unseen:
    """Answers for one run. `filling` remembers, from run to run, which extraction found a dimension empty."""

    connection: Connection
    schema: str
    manifest: ProcessedManifest
    filling: dict[str, int]

    async def of_dimension(self, dimension: Dimension, built: BuiltTable) -> bool:
        """Whether no key of the run is in the dimension."""
        return await self._is_filling(dimension) or await self._is_new(dimension, built)

    async def of_fact(self, fact: Fact, built: BuiltTable) -> bool:
        """Whether no key of the run is in the fact, or waits to be."""
        if await self._has_orphans(fact, built):
            return False
        return await self._is_new_extraction(fact) or await self._is_new(fact, built)

    async def _is_new(self, table: WarehouseTable, built: BuiltTable) -> bool:
        if built.first_key is None or built.last_key is None:
            return False
        if await deletions.has_deleted_between(self.connection, table, built.first_key, built.last_key):
            return False
        return not await merge.has_key_between(self.connection, self.schema, table, built.first_key, built.last_key)

    async def _has_orphans(self, fact: Fact, built: BuiltTable) -> bool:
        if built.first_key is None or built.last_key is None:
            return False
        return await orphans.are_between(self.connection, fact.name, built.first_key, built.last_key)

    async def _is_filling(self, dimension: Dimension) -> bool:
        """Whether all the dimension's rows are of this run's extraction: a row is in one run of an extraction only."""
        if not await merge.has_rows(self.connection, self.schema, dimension):
            self.filling[dimension.name] = self.manifest.extraction
        filled_by_this = self.filling.get(dimension.name) == self.manifest.extraction
        return (
            filled_by_this
            and bool(dimension.sources)
            and not await ledger.written_by_other_extractions(self.connection, self.manifest, dimension.name)
        )

    async def _is_new_extraction(self, fact: Fact) -> bool:
        """Whether all the fact's rows are of this run's extraction, whose runs have no key in common."""
        if await ledger.written_by_other_extractions(self.connection, self.manifest, fact.name):
            return False
        least = await merge.least_record_id(self.connection, self.schema, fact)
        first = await ledger.first_record_id(self.connection, self.manifest, fact.name)
        return least is None or (first is not None and least >= first)

"""Checks whether no existing row can match a run's rows, so that COPY can write straight into the table."""

from dataclasses import dataclass

from totesys.lake.records import BuiltTable, ProcessedManifest
from totesys.schema import ETL
from totesys.sql import ident
from totesys.table import Dimension, Fact, WarehouseTable
from totesys_load.warehouse_connection import WarehouseConnection


@dataclass(frozen=True)
class InsertOnlyCheck:
    """The check for one run. `filling` remembers, from run to run, which extraction found a dimension empty."""

    warehouse: WarehouseConnection
    manifest: ProcessedManifest
    filling: dict[str, int]

    async def dimension(self, dimension: Dimension, built: BuiltTable) -> bool:
        """Whether the dimension has none of the run's keys."""
        return await self._is_filling(dimension) or await self._has_no_key_between(dimension, built)

    async def fact(self, fact: Fact, built: BuiltTable) -> bool:
        """Whether the fact has none of the run's keys, and none waits for a dimension row."""
        waiting = f"SELECT FROM {ETL}.orphan WHERE table_name = $1 AND id BETWEEN $2 AND $3"
        every = (-(2**63), 2**63 - 1) if built.first_key is None else (built.first_key, built.last_key)
        if await self.warehouse.exists(waiting, fact.name, *every):
            return False
        return await self._has_only_this_extraction(fact) or await self._has_no_key_between(fact, built)

    async def _has_no_key_between(self, table: WarehouseTable, built: BuiltTable) -> bool:
        if built.first_key is None or not table.has_integer_key:
            return False
        deleted = f"SELECT FROM {ETL}.deletion WHERE table_name = $1 AND id BETWEEN $2 AND $3 AND returned_run IS NULL"
        if await self.warehouse.exists(deleted, table.name, built.first_key, built.last_key):
            return False
        present = f"SELECT FROM {self.warehouse.relation(table)} WHERE {ident(table.only_key)} BETWEEN $1 AND $2"
        return not await self.warehouse.exists(present, built.first_key, built.last_key)

    async def _is_filling(self, dimension: Dimension) -> bool:
        """Whether all rows of the dimension are from this run's extraction, which brings a key in one run only."""
        if not await self.warehouse.exists(f"SELECT FROM {self.warehouse.relation(dimension)}"):
            self.filling[dimension.name] = self.manifest.extraction
        return (
            self.filling.get(dimension.name) == self.manifest.extraction
            and bool(dimension.sources)
            and not await self._written_by_others(dimension)
        )

    async def _has_only_this_extraction(self, fact: Fact) -> bool:
        """Whether all rows of the fact are from this run's extraction, which brings a key in one run only."""
        if await self._written_by_others(fact):
            return False
        connection = self.warehouse.connection
        least = await connection.fetchval(f"SELECT min({ident(fact.record_id)}) FROM {self.warehouse.relation(fact)}")
        first = await connection.fetchval(
            f"SELECT min(first_record_id) FROM {ETL}.run_table JOIN {ETL}.run USING (lake, run) "
            "WHERE table_name = $1 AND lake = $2 AND run >= $3 AND extraction = $3",
            fact.name,
            self.manifest.lake,
            self.manifest.extraction,
        )
        return least is None or (first is not None and least >= first)

    async def _written_by_others(self, table: WarehouseTable) -> bool:
        """Whether a run of another extraction or another lake wrote to the table."""
        # Runs numbered between those of this extraction are from earlier ones, and were skipped.
        written = f"SELECT FROM {ETL}.run_table WHERE table_name = $1 AND rows_written > 0"
        query = (
            f"SELECT EXISTS ({written} AND lake = $2 AND run < $3) "
            f"OR EXISTS ({written} AND lake < $2) OR EXISTS ({written} AND lake > $2)"
        )
        lake, extraction = self.manifest.lake, self.manifest.extraction
        return bool(await self.warehouse.connection.fetchval(query, table.name, lake, extraction))

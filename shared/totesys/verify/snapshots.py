"""Snapshots of both databases: of the warehouse first, then of the source."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from totesys.errors import SchemaDrift, WarehouseMismatch
from totesys.schema import Model
from totesys.source_relations import unseen
from totesys.sql import ident
from totesys.table import SourceTable, WarehouseTable
from totesys.verify import run_ledger
from totesys.verify.side import Side
from totesys.verify.verification_result import NewestRun


@dataclass(frozen=True)
class Snapshots:
    """The two sides, and the warehouse's newest run, or the `reason` why it is unknown. `time` is the source's."""

    model: Model
    source: Side
    warehouse: Side
    schema: str
    has_ledger: bool
    time: datetime
    newest_run: NewestRun | None
    reason: str

    @classmethod
    @asynccontextmanager
    async def open(
        cls, model: Model, source_dsn: str, warehouse_dsn: str, source_schema: str, schema: str
    ) -> AsyncIterator[Self]:
        """Take the warehouse's snapshot, then the source's. Raises as `Side.open` does."""
        async with Side.open("The warehouse", warehouse_dsn, WarehouseMismatch) as warehouse:
            has_ledger = await run_ledger.has_ledger(warehouse)
            newest = await run_ledger.newest_run(warehouse) if has_ledger else None
            search_path = ident(source_schema)
            async with Side.open("The source", source_dsn, SchemaDrift, search_path=search_path) as source:
                if has_ledger:
                    newest_run, reason = await run_ledger.run_of_source(newest, source)
                else:
                    newest_run, reason = None, "the warehouse has no ledger"
                time = await source.value("SELECT now()")
                yield cls(model, source, warehouse, schema, has_ledger, time, newest_run, reason)

    def reference_side(self, table: WarehouseTable) -> Side:
        """The side that runs a table's reference query."""
        return self.source if table.sources else self.warehouse

    def since(self, source: SourceTable, relation: str) -> str:
        """SQL that is true of a row of a source that may have changed since the newest run."""
        return unseen(source, self.newest_run.mark, relation) if self.newest_run else "false"

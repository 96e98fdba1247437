"""Both databases, each as it is at one moment: the warehouse first, then the source."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from totesys.errors import SchemaDrift, WarehouseMismatch
from totesys.schema import Model
from totesys.sql import ident
from totesys.table import WarehouseTable
from totesys.verify import run_ledger
from totesys.verify.comparison import NewestRun
from totesys.verify.side import Side


@dataclass(frozen=True)
class Snapshots:
    """The two sides, and what the warehouse is as of; `reason` says why that is not known. `time` is the source's."""

    model: Model
    source: Side
    warehouse: Side
    schema: str
    has_ledger: bool
    time: datetime
    baseline: NewestRun | None
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
                    baseline, reason = await run_ledger.baseline_of(newest, source)
                else:
                    baseline, reason = None, "the warehouse has no ledger"
                time = await source.value("SELECT now()")
                yield cls(model, source, warehouse, schema, has_ledger, time, baseline, reason)

    def asked(self, table: WarehouseTable) -> Side:
        """The side that a table's reference query is asked of."""
        return self.source if table.sources else self.warehouse

    def since(self, relation: str = "") -> str:
        """SQL that is true of a row of the source that may have changed since the baseline."""
        return self.baseline.mark.unseen(relation) if self.baseline else "false"

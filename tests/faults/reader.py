"""A reader that polls the warehouse all along, and counts the times when it sees part of a run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.faults.audited import FACT_AUDIT, MODEL
from totesys.connection import Connection, connect
from totesys.errors import TotesysError
from totesys.sql import ident

PERIOD = 0.4

# The ledger says how many rows each run wrote: in one snapshot there are just as many.
_COUNTS = " UNION ALL ".join(
    f"SELECT '{fact.name}', (SELECT count(*) FROM warehouse.{ident(fact.name)}), "
    f"(SELECT coalesce(sum(rows_written), 0) FROM etl.run_table WHERE table_name = '{fact.name}')"
    for fact in MODEL.facts
)
# The source's own transactions, which no run may cut: of each that shows, all its rows do.
_NEW = (
    f"SELECT transaction_id, count(*) AS rows, max({FACT_AUDIT.record_id}) AS last FROM warehouse.fact_audit "
    f"WHERE {FACT_AUDIT.record_id} > $1 GROUP BY 1"
)
_WHOLE = "SELECT transaction_id, count(*) AS rows FROM audit WHERE transaction_id = ANY ($1::bigint[]) GROUP BY 1"


@dataclass
class Reader:
    """Looks at the warehouse as an analyst would, in one transaction at a time."""

    source_dsn: str
    warehouse_dsn: str
    looks: int = 0
    half_runs: list[str] = field(default_factory=list)
    _last: int = 0

    async def read(self) -> None:
        """Look again and again, over new connections when they break."""
        while True:
            with suppress(TotesysError):
                async with connect("The warehouse", self.warehouse_dsn) as warehouse:
                    while True:
                        await self._look(warehouse)
                        await asyncio.sleep(PERIOD)
            await asyncio.sleep(PERIOD)

    async def _look(self, warehouse: Connection) -> None:
        async with warehouse.transaction(isolation="repeatable_read", readonly=True):
            if not await warehouse.fetchval("SELECT to_regclass('etl.run_table')"):
                return
            counts = await warehouse.fetch(_COUNTS)
            new = await warehouse.fetch(_NEW, self._last)
        self.half_runs += [
            f"{name} has {rows} rows, its runs wrote {said}" for name, rows, said in counts if rows != said
        ]
        seen = {row["transaction_id"]: row["rows"] for row in new}
        async with connect("The source", self.source_dsn) as source:
            whole = {row["transaction_id"]: row["rows"] for row in await source.fetch(_WHOLE, list(seen))}
        self.half_runs += [
            f"{rows} rows of transaction {number}" for number, rows in seen.items() if rows != whole.get(number)
        ]
        self._last = max((row["last"] for row in new), default=self._last)
        self.looks += 1


@asynccontextmanager
async def reading(source_dsn: str, warehouse_dsn: str) -> AsyncIterator[Reader]:
    """A reader that looks as long as the block lasts."""
    reader = Reader(source_dsn, warehouse_dsn)
    task = asyncio.create_task(reader.read())
    try:
        yield reader
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

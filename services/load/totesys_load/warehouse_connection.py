"""A connection to the warehouse, in one schema."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from totesys.connection import Connection
from totesys.sql import qualified
from totesys.table import WarehouseTable

WHAT = "The warehouse"
# The key of the advisory lock: any number, as long as every load uses the same one.
LOCK = 0x6C6F6164657274


@dataclass(frozen=True)
class WarehouseConnection:
    """A connection to the warehouse and the schema of its tables."""

    connection: Connection
    schema: str

    def relation(self, table: WarehouseTable) -> str:
        """The table's name in SQL."""
        return qualified(self.schema, table.name)

    async def write(self, statement: str, *parameters: object) -> int:
        """Execute an INSERT, UPDATE or DELETE. Returns the number of rows."""
        status = await self.connection.execute(statement, *parameters)
        return int(status.rpartition(" ")[2])

    async def exists(self, query: str, *parameters: object) -> bool:
        """Whether a query returns any row."""
        return bool(await self.connection.fetchval(f"SELECT EXISTS ({query})", *parameters))

    @asynccontextmanager
    async def locked(self, longest: timedelta) -> AsyncIterator[None]:
        """A transaction that no other load runs beside. Raises LockNotAvailableError after waiting for `longest`."""
        milliseconds = str(int(longest.total_seconds() * 1000))
        async with self.connection.transaction():
            await self.connection.execute("SELECT set_config('lock_timeout', $1, true)", milliseconds)
            await self.connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            yield

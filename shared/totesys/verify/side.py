"""One of the two databases, as it is at one moment."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from totesys.database_errors import plain
from totesys.errors import TerminalError
from totesys.postgres import Connection, connect, place

ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Side:
    """A connection within one snapshot, and the error that says that a table is not as the model declares it."""

    name: str
    place: str
    connection: Connection
    mismatch: type[TerminalError]

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, dsn: str, mismatch: type[TerminalError], **session: str) -> AsyncIterator["Side"]:
        """Connect and take a snapshot. Raises DatabaseUnavailable, AccessDenied or SettingsError."""
        async with (
            connect(name, dsn, **session) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("SELECT 1")  # the first statement takes the snapshot
            yield cls(name, place(dsn), connection, mismatch)

    async def rows(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        """All rows of a query. Raises the mismatch where a declared table or column is not there."""
        with self._complaint():
            return await self.connection.fetch(query, *parameters)

    async def row(self, query: str, *parameters: object) -> asyncpg.Record:
        """The only row of a query."""
        (row,) = await self.rows(query, *parameters)
        return row

    async def value(self, query: str, *parameters: object) -> Any:
        """The only value of a query."""
        return (await self.row(query, *parameters))[0]

    async def stream(self, query: str, *parameters: object) -> AsyncIterator[asyncpg.Record]:
        """The rows of a query, few of them in memory at a time. Other queries may be asked in between."""
        with self._complaint():
            cursor = await self.connection.cursor(query, *parameters)
            while rows := await cursor.fetch(ROWS_AT_ONCE):
                for row in rows:
                    yield row

    @contextmanager
    def _complaint(self) -> Iterator[None]:
        try:
            yield
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError) as error:
            raise self.mismatch(
                f"{self.name} at {self.place} is not what the model declares: {plain(error)}. "
                "Name the database and the schema that hold the declared tables."
            ) from error

"""One of the two databases, in one snapshot."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from totesys.connection import Connection, connect, encoding_of, redacted
from totesys.database_errors import plain
from totesys.errors import TerminalError
from totesys.verify.repertoire import Repertoire

ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Side:
    """A connection in one snapshot, and the error to raise if a table is not what the model declares."""

    name: str
    redacted: str
    connection: Connection
    mismatch: type[TerminalError]
    repertoire: Repertoire

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, dsn: str, mismatch: type[TerminalError], **session: str) -> AsyncIterator["Side"]:
        """Connect and take a snapshot. Raises DatabaseUnavailable, AccessDenied or SettingsError."""
        async with (
            connect(name, dsn, **session) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            repertoire = Repertoire(connection)
            await repertoire.prepare()
            await connection.execute("SELECT 1")  # the first statement takes the snapshot
            yield cls(name, redacted(dsn), connection, mismatch, repertoire)

    @property
    def encoding(self) -> str:
        """The name of the database's encoding."""
        return encoding_of(self.connection)

    async def rows(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        """All rows of a query. Raises the mismatch if a declared table or column is missing."""
        with self._mismatch_raised():
            return await self.connection.fetch(await self.repertoire.within(query), *await self._within(parameters))

    async def row(self, query: str, *parameters: object) -> asyncpg.Record:
        """The only row of a query."""
        (row,) = await self.rows(query, *parameters)
        return row

    async def value(self, query: str, *parameters: object) -> Any:
        """The only value of a query."""
        return (await self.row(query, *parameters))[0]

    async def stream(self, query: str, *parameters: object) -> AsyncIterator[asyncpg.Record]:
        """The rows of a query, few of them in memory at a time. Other queries may run in between."""
        with self._mismatch_raised():
            query, parameters = await self.repertoire.within(query), await self._within(parameters)
            cursor = await self.connection.cursor(query, *parameters)
            while rows := await cursor.fetch(ROWS_AT_ONCE):
                for row in rows:
                    yield row

    async def _within(self, parameters: tuple[object, ...]) -> tuple[object, ...]:
        return tuple([await self._parameter_within(parameter) for parameter in parameters])

    async def _parameter_within(self, parameter: object) -> object:
        if isinstance(parameter, str):
            return await self.repertoire.within(parameter)
        if isinstance(parameter, list):
            return [await self._parameter_within(one) for one in parameter]
        return parameter

    @contextmanager
    def _mismatch_raised(self) -> Iterator[None]:
        try:
            yield
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError) as error:
            raise self.mismatch(
                f"{self.name} at {self.redacted} is not what the model declares: {plain(error)}. "
                "Name the database and the schema with the declared tables."
            ) from error

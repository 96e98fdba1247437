"""One of the two databases, as it is at one moment."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import polars as pl
import pyarrow as pa
from pyarrow import csv

from totesys.errors import TerminalError
from totesys.postgres import Connection, connect, place

BLOCK_BYTES = 16 * 1024 * 1024  # no row may be longer


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
            connect(name, dsn, extra_float_digits="1", **session) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute("SELECT 1")  # the first statement takes the snapshot
            yield cls(name, place(dsn), connection, mismatch)

    async def values(self, query: str, *parameters: object) -> list[Any]:
        """All values of a query that are not NULL."""
        with self._complaint():
            rows = await self.connection.fetch(query, *parameters)
        return [value for row in rows for value in row if value is not None]

    async def texts(self, columns: Sequence[str], query: str, *parameters: object) -> pl.DataFrame:
        """The rows of a query that gives these columns, all text. NULL and the empty string stay apart."""
        buffer = io.BytesIO()

        async def keep(data: bytes) -> None:
            buffer.write(data)

        with self._complaint():
            await self.connection.copy_from_query(query, *parameters, output=keep, format="csv")
        return await asyncio.to_thread(_parse, columns, buffer)

    @contextmanager
    def _complaint(self) -> Iterator[None]:
        try:
            yield
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise self.mismatch(
                f"{self.name} at {self.place} is not what the model declares: {error}. "
                "Name the database and the schema that hold the declared tables."
            ) from error


def _parse(columns: Sequence[str], buffer: io.BytesIO) -> pl.DataFrame:
    if not buffer.tell():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String()))
    table = csv.read_csv(
        pa.BufferReader(buffer.getbuffer()),
        read_options=csv.ReadOptions(column_names=list(columns), block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        # As Postgres writes it, an unquoted empty field is NULL and a quoted one the empty string.
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return pl.DataFrame(table)

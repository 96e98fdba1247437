"""Where everything is measured: one Postgres server with the source and, for each contender, an empty warehouse."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench import generated_source
from totesys.connection import connect
from totesys.model import MODEL
from totesys.sql import ident
from totesys.table import WarehouseTable
from totesys.verify import equal, verify
from totesys_cli.local.local_postgres import PostgresServer

SOURCE = "source"
# Whether a commit waits for the disk.
DURABLE = False


class WrongResult(Exception):
    """A warehouse that differs from its source: its figures say nothing."""


@dataclass
class BenchServer:
    """The server, and the source, which only grows.

    The server does not wait for its disk (`DURABLE`): the benchmark compares the work of programs, and the disk of the
    machine would make all contenders alike. All of them use the same server with the same settings.
    """

    postgres: PostgresServer
    orders: int = 0
    rows: int = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator[Self]:
        """A server without a source. It ends, with everything in it, when this process does."""
        server = await asyncio.to_thread(PostgresServer.start, durable=DURABLE)
        try:
            yield cls(server)
        finally:
            await asyncio.to_thread(server.stop)

    @property
    def source(self) -> str:
        """The DSN of the source."""
        return self.postgres.dsn(SOURCE)

    @property
    def folder(self) -> Path:
        """A folder for files that end with the server."""
        folder = self.postgres.folder / "files"
        folder.mkdir(exist_ok=True)
        return folder

    async def grow(self, orders: int) -> None:
        """Bring the source to that many orders. Raises ValueError if it has more."""
        if orders == self.orders:
            return
        if orders < self.orders or self.orders >= generated_source.GENERATED_ORDERS:
            await generated_source.grow(self.source, orders)
        else:
            # As many orders as possible are generated, not copied.
            await asyncio.to_thread(self.postgres.drop_database, SOURCE)
            await asyncio.to_thread(self.postgres.create_database, SOURCE)
            await generated_source.create(self.source, orders)
        self.orders, self.rows = orders, await generated_source.count_rows(self.source)

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[str]:
        """The DSN of a new empty database, dropped at the end."""
        dsn = await asyncio.to_thread(self.postgres.create_database, name)
        try:
            yield dsn
        finally:
            await asyncio.to_thread(self.postgres.drop_database, name)

    @asynccontextmanager
    async def copy_of_source(self, name: str) -> AsyncIterator[str]:
        """The DSN of a copy of the source, dropped at the end, for a case that writes to it."""
        async with connect("The server", self.postgres.dsn()) as connection:
            await connection.execute(f"CREATE DATABASE {ident(name)} TEMPLATE {ident(SOURCE)} STRATEGY FILE_COPY")
        try:
            yield self.postgres.dsn(name)
        finally:
            await asyncio.to_thread(self.postgres.drop_database, name)


async def require_equal(source: str, warehouse: str, tables: Sequence[WarehouseTable] | None = None) -> None:
    """Compare the warehouse, or these tables of it, with the source, every row and column. Raises WrongResult."""
    comparisons = await verify(source, warehouse, MODEL, tables=tables)
    if not equal(comparisons):
        wrong = [comparison for comparison in comparisons if not comparison.is_equal]
        raise WrongResult(f"The warehouse differs from the source: {wrong}")

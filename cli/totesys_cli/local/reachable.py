"""A Postgres server that listens on loopback, in whatever way it was started."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from totesys.connection import connect
from totesys.sql import ident
from totesys_cli.local.ports import LOOPBACK

SUPERUSER = "postgres"


class ReachablePostgres:
    """A running Postgres server, 15 or later, on loopback, with the superuser's password."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self._password = password

    def dsn(self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None) -> str:
        """The DSN of a database, for asyncpg and libpq; without `password`, the superuser's."""
        login, secret, name = (quote(part, safe="") for part in (user, password or self._password, database))
        return f"postgresql://{login}:{secret}@{LOOPBACK}:{self.port}/{name}"

    def create_database(self, name: str) -> str:
        """Create an empty database; its DSN. Raises SettingsError if it exists."""
        # FILE_COPY copies and flushes files instead of logging their data, which is faster while flushing is off.
        self._execute(f"CREATE DATABASE {ident(name)} TEMPLATE template0 STRATEGY FILE_COPY")
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end its sessions."""
        self._execute(f"DROP DATABASE IF EXISTS {ident(name)} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        async def execute() -> None:
            async with connect("The server", self.dsn(), statement_timeout="300000") as connection:
                await connection.execute(statement)

        # In a thread, so that it also works in a program with a running event loop.
        with ThreadPoolExecutor(1) as threads:
            threads.submit(asyncio.run, execute()).result()

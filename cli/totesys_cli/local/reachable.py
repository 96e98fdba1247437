"""A Postgres server that answers on loopback, whoever runs it."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import asyncpg

from totesys.connection import database_errors
from totesys_cli.local.places import LOOPBACK

SUPERUSER = "postgres"

_STATEMENT_SECONDS = 300.0


class ReachablePostgres:
    """A running Postgres server, 15 or later, that listens on loopback and whose superuser's password is known."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self._password = password

    def dsn(self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = None) -> str:
        """The address of a database, for asyncpg and libpq; without `password`, the superuser's."""
        secret = self._password if password is None else password
        return f"postgresql://{_escaped(user)}:{_escaped(secret)}@{LOOPBACK}:{self.port}/{_escaped(database)}"

    def create_database(self, name: str) -> str:
        """Create an empty database; its DSN. Raises SettingsError if it is there."""
        # The data is not logged but copied and flushed, which is quicker as long as nothing is flushed.
        self._execute(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 STRATEGY FILE_COPY")
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, and end its sessions."""
        self._execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        async def run() -> None:
            with database_errors("The server", self.dsn()):
                connection = await asyncpg.connect(self.dsn(), command_timeout=_STATEMENT_SECONDS)
                try:
                    await connection.execute(statement)
                finally:
                    await connection.close()

        _in_own_loop(run())


def _in_own_loop(work: Coroutine[Any, Any, None]) -> None:
    # In a thread, so that it works in a program that has an event loop running too.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, work).result()


def _escaped(part: str) -> str:
    return quote(part, safe="")


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'

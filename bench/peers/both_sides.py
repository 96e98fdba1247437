"""What bounds verification: Postgres alone with every row of both sides, one process a side, both at the same time."""

import time

from bench.peers.pipe import ONE_SCAN, SOURCE_SCHEMA
from bench.peers.tables import SCHEMA
from totesys.concurrency import gather_pair
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.sql import qualified

SOURCE_TABLES = tuple(qualified(SOURCE_SCHEMA, table.name) for table in MODEL.sources)
WAREHOUSE_TABLES = tuple(qualified(SCHEMA, table.name) for table in MODEL.tables)


async def count(source: str, warehouse: str) -> float:
    """The seconds in which both sides count the rows of all their tables, by a sequential scan each."""
    return await _seconds(source, warehouse, "SELECT count(*) FROM {}")


async def print_rows(source: str, warehouse: str) -> float:
    """The seconds in which both sides print every row as text. The servers drop it: there is no client in between."""
    return await _seconds(source, warehouse, "COPY {} TO '/dev/null'")


async def _seconds(source: str, warehouse: str, statement: str) -> float:
    async with (
        connect("The source", source, **ONE_SCAN) as one,
        connect("The warehouse", warehouse, **ONE_SCAN) as other,
    ):
        started = time.perf_counter()
        await gather_pair(_execute(one, statement, SOURCE_TABLES), _execute(other, statement, WAREHOUSE_TABLES))
        return time.perf_counter() - started


async def _execute(connection: Connection, statement: str, tables: tuple[str, ...]) -> None:
    for table in tables:
        await connection.execute(statement.format(table))

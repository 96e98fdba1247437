"""Source databases for tests: made as declared, with a few rows."""

import operator
from typing import Any

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from tests.models.library import MODEL as LIBRARY
from tests.models.shops import MODEL as SHOPS
from totesys.connection import Connection, connect
from totesys.model import MODEL as COMPANY
from totesys.schema import Model
from totesys.sql import ident
from totesys.verify import equal, verify
from totesys_cli.source_database import create_source
from totesys_simulation import fill

LONGEST_WAIT = 120.0

BOOKS = """
    INSERT INTO book VALUES (1, 'Dune', 'A', 'NOVEL'), (2, 'Howl', NULL, 'POETRY'), (3, 'Odes, "all"', '', 'POETRY')"""
LOANS = """
    INSERT INTO loan VALUES
    (1, 1, 'Ada', '2026-01-05 09:30', 0.50, true), (2, 2, 'Bob', '2026-01-06 10:00', 1.25, NULL)"""

# Versions of loans that a warehouse has more than once.
DUPLICATED_LOANS = "SELECT loan_id FROM warehouse.fact_loan GROUP BY loan_id, fee HAVING count(*) > 1"


async def execute(dsn: str, *statements: str) -> None:
    """Each statement in a transaction of its own."""
    async with connect("The database", dsn) as connection:
        for statement in statements:
            await connection.execute(statement)


async def value(dsn: str, query: str, *parameters: object) -> Any:
    """The single value that a query gives."""
    async with connect("The database", dsn) as connection:
        return await connection.fetchval(query, *parameters)


async def until_there_is(connection: Connection, query: str) -> None:
    """Wait until a query gives a row."""
    poll = AsyncRetrying(
        retry=retry_if_result(operator.not_), wait=wait_fixed(0.02), stop=stop_after_delay(LONGEST_WAIT)
    )
    await poll(connection.fetch, query)


async def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """The rows that a query gives."""
    async with connect("The database", dsn) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def make_library(dsn: str, schema: str = "public") -> str:
    """Three books, two of them lent, in the empty database `dsn`; the same DSN."""
    async with connect("The source", dsn, search_path=ident(schema)) as connection:
        await create_source(connection, LIBRARY, schema)
        await connection.execute(BOOKS)
        await connection.execute(LOANS)
    return dsn


async def make_shops(dsn: str, *statements: str) -> str:
    """The shops' tables with one region and one shop, and what the statements add, in the empty `dsn`; the same DSN."""
    async with connect("The source", dsn) as connection:
        await create_source(connection, SHOPS)
    first = ("INSERT INTO region VALUES (1, 'North', now())", "INSERT INTO shop VALUES (1, 'Corner', 1, now())")
    await execute(dsn, *first, *statements)
    return dsn


async def make_company(dsn: str, *, seed: int = 20261122, scale: float = 0.005) -> str:
    """The company's generated past in the empty database `dsn`; the same DSN."""
    async with connect("The source", dsn) as connection:
        await create_source(connection, COMPANY)
        await fill(connection, seed=seed, scale=scale)
    return dsn


async def verified(source: str, warehouse: str, model: Model) -> bool:
    """Whether the warehouse equals what the reference queries say of the source."""
    return equal(await verify(source, warehouse, model))

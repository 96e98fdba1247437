"""The same star by SQL in the warehouse, from the raw tables that a peer has copied there."""

import time

from bench.peers.tables import SCHEMA, TABLES, create_tables, select
from totesys.connection import connect
from totesys.sql import column_list, qualified


async def build(warehouse: str, dataset: str) -> float:
    """Fill the warehouse's tables, made anew, from the schema `dataset` beside them; the seconds that it took."""
    await create_tables(warehouse)
    async with connect("The warehouse", warehouse) as connection:
        started = time.perf_counter()
        for table in TABLES:
            target = f"{qualified(SCHEMA, table.name)} ({column_list(table.column_names)})"
            await connection.execute(f"INSERT INTO {target} {select(table, dataset)}")
        return time.perf_counter() - started

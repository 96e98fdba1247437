"""Differences between the warehouse and its source, planted and taken away again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.peers.tables import SCHEMA
from totesys.connection import Connection, connect
from totesys.model.payments import FACT_PAYMENT
from totesys.sql import column_list, ident, qualified

# One row each, as a verification counts them.
PLANTED = {"differing": 1, "missing": 1, "extra": 1}

_FACT = qualified(SCHEMA, FACT_PAYMENT.name)
_KEY, _ID = ident(FACT_PAYMENT.key), ident(FACT_PAYMENT.record_id)
_OTHERS = column_list([name for name in FACT_PAYMENT.column_names if name != FACT_PAYMENT.key])
# No run writes this id, so that verification does not take the extra row for one that the source has deleted since.
_EXTRA_ID = 0


@asynccontextmanager
async def planted(warehouse: str) -> AsyncIterator[None]:
    """Have a wrong, a missing and an extra payment far apart in the warehouse, until the end."""
    async with connect("The warehouse", warehouse) as connection:
        last = await connection.fetchval(f"SELECT max({_KEY}) FROM {_FACT}")
        wrong, missing, extra = last // 3, last * 2 // 3, last + 1
        await connection.execute(
            f"CREATE TEMPORARY TABLE kept AS SELECT * FROM {_FACT} WHERE {_KEY} IN ({wrong}, {missing})"
        )
        async with connection.transaction():
            await connection.execute(f"UPDATE {_FACT} SET paid = NOT paid WHERE {_KEY} = $1", wrong)
            await connection.execute(f"DELETE FROM {_FACT} WHERE {_KEY} = $1", missing)
            await _copy_to(connection, last, extra)
        try:
            yield
        finally:
            await _restore(connection, [wrong, missing, extra])


async def _copy_to(connection: Connection, key: int, new_key: int) -> None:
    await connection.execute(
        f"INSERT INTO {_FACT} ({_ID}, {_KEY}, {_OTHERS}) OVERRIDING SYSTEM VALUE "
        f"SELECT {_EXTRA_ID}, $2, {_OTHERS} FROM {_FACT} WHERE {_KEY} = $1",
        key,
        new_key,
    )


async def _restore(connection: Connection, keys: list[int]) -> None:
    async with connection.transaction():
        await connection.execute(f"DELETE FROM {_FACT} WHERE {_KEY} = ANY ($1)", keys)
        await connection.execute(f"INSERT INTO {_FACT} OVERRIDING SYSTEM VALUE SELECT * FROM kept")

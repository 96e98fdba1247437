"""Changes of the source, so many rows at once."""

from random import Random

from bench.growth import GROWING
from totesys.connection import Connection, connect
from totesys.model.source_tables import PAYMENT, PURCHASE_ORDER, SALES_ORDER, TRANSACTION, TRANSACTION_TYPE
from totesys.sql import ident
from totesys.table import SourceTable

# A new value of one column of each table: every change is one that the warehouse has to show.
NEW_VALUE = {
    SALES_ORDER.name: "units_sold = units_sold + 1",
    PURCHASE_ORDER.name: "item_quantity = item_quantity + 1",
    TRANSACTION.name: "transaction_type = CASE transaction_type WHEN 'SALE' THEN 'PURCHASE' ELSE 'SALE' END"
    f"::{TRANSACTION_TYPE.postgres}",
    PAYMENT.name: "paid = NOT paid",
}


async def change(dsn: str, rows: int, seed: int) -> int:
    """Change so many rows, spread evenly over the big tables, in one transaction; the rows changed.

    The same seed chooses the same rows of the same source.
    """
    random = Random(seed)
    changed = 0
    async with connect("The source", dsn) as connection, connection.transaction():
        for place, table in enumerate(GROWING):
            share = rows * (place + 1) // len(GROWING) - rows * place // len(GROWING)
            changed += await _change(connection, table, share, random)
    return changed


async def _change(connection: Connection, table: SourceTable, rows: int, random: Random) -> int:
    key, name = ident(table.key), ident(table.name)
    last = await connection.fetchval(f"SELECT max({key}) FROM {name}")
    chosen = random.sample(range(1, last + 1), min(rows, last))
    status = await connection.execute(
        f"""UPDATE {name} SET {NEW_VALUE[table.name]}, last_updated = now() AT TIME ZONE 'UTC'
            WHERE {key} = ANY ($1)""",
        chosen,
    )
    return int(status.removeprefix("UPDATE "))

"""Parquet into a table by binary COPY: no Python object a row."""

import asyncio
from collections.abc import AsyncIterator

import pyarrow as pa
import pyarrow.parquet

from totesys.arrow import arrow_schema
from totesys.connection import Connection
from totesys.errors import CorruptObject
from totesys.table import Table
from totesys_load.binary import END, HEADER, encode

# Rows that are encoded at once: enough to keep the server busy, few enough to keep memory flat.
BATCH_ROWS = 65_536
PIECE_BYTES = 4 * 1024 * 1024
TEMPORARY = "pg_temp"


def read_parquet(body: bytes, table: Table, where: str) -> pa.Table:
    """A part's rows in the declared columns; a later release of transform may have written further ones.

    Raises CorruptObject if a declared one is missing or of another type.
    """
    try:
        rows = pyarrow.parquet.ParquetFile(pa.BufferReader(body)).read()
    except pa.ArrowInvalid as error:
        raise CorruptObject(f"{where} is no Parquet: {error}. Trigger transform for its run again.") from error
    declared = [name for name in table.column_names if name in rows.column_names]
    rows = rows.select(declared)
    if not rows.schema.equals(arrow_schema(table)):
        raise CorruptObject(f"{where} has not the columns of {table.name}. Trigger transform for its run again.")
    return rows


async def copy_rows(connection: Connection, schema: str, name: str, rows: pa.Table) -> None:
    """Append the rows to the table `name`, whose columns have the rows' names."""
    await connection.copy_to_table(
        name, schema_name=schema, columns=rows.column_names, source=_encoded(rows), format="binary"
    )


async def _encoded(rows: pa.Table) -> AsyncIterator[bytes]:
    yield HEADER
    for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
        # In pieces: what is on its way is copied twice by the driver.
        encoded = await asyncio.to_thread(encode, batch)
        for start in range(0, len(encoded), PIECE_BYTES):
            yield encoded[start : start + PIECE_BYTES]
    yield END

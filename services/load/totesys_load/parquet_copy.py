"""Copies Parquet into a table by binary COPY, without a Python object per row."""

import asyncio
from collections.abc import AsyncIterator

import pyarrow as pa
import pyarrow.parquet

from totesys.arrow import arrow_schema
from totesys.errors import CorruptObject
from totesys.postgres import Connection
from totesys.table import Table
from totesys_load.binary import END, HEADER, encode

# Rows encoded at once: enough to keep the server busy, few enough to bound memory.
BATCH_ROWS = 65_536
PIECE_BYTES = 4 * 1024 * 1024
TEMPORARY = "pg_temp"


def read_parquet(body: bytes, table: Table, where: str) -> pa.Table:
    """A part's rows in the declared columns. Ignores other columns, which a later release may have written.

    Raises CorruptObject if a declared column is missing or has another type.
    """
    try:
        rows = pyarrow.parquet.ParquetFile(pa.BufferReader(body)).read()
    except pa.ArrowInvalid as error:
        raise CorruptObject(f"{where} is not valid Parquet: {error}. Trigger transform for its run again.") from error
    rows = rows.select([name for name in table.column_names if name in rows.column_names])
    if not rows.schema.equals(arrow_schema(table)):
        raise CorruptObject(
            f"{where} does not have the declared columns of {table.name}. Trigger transform for its run again."
        )
    return rows


async def copy_rows(connection: Connection, schema: str, name: str, rows: pa.Table) -> None:
    """Append the rows to the table `name`, into the columns of the same names."""
    await connection.copy_to_table(
        name, schema_name=schema, columns=rows.column_names, source=_encoded(rows), format="binary"
    )


async def _encoded(rows: pa.Table) -> AsyncIterator[bytes]:
    yield HEADER
    for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
        # In pieces, because the driver copies twice what it sends.
        encoded = await asyncio.to_thread(encode, batch)
        for start in range(0, len(encoded), PIECE_BYTES):
            yield encoded[start : start + PIECE_BYTES]
    yield END

"""Copies Arrow rows into a table by binary COPY, without a Python object per row."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress

import pyarrow as pa

from totesys.connection import Connection
from totesys.table import Column
from totesys.types import TEXT
from totesys_load.binary import END, HEADER, encode, wire_form
from totesys_load.parquet_parts import BATCH_ROWS

PIECE_BYTES = 4 * 1024 * 1024
TEMPORARY = "pg_temp"


async def copy_rows(
    connection: Connection, schema: str, name: str, rows: pa.Table, columns: Sequence[Column] = ()
) -> None:
    """Append the rows to the table `name`, into the columns of the same names. `columns` declares uuid and jsonb."""
    declared = columns or [Column(name, TEXT) for name in rows.column_names]
    await copy_batches(connection, schema, name, declared, rows.to_batches(max_chunksize=BATCH_ROWS))


async def copy_batches(
    connection: Connection, schema: str, name: str, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]
) -> None:
    """Append the rows of the batches to these columns of the table `name`. Raises what the batches raise."""
    types = [column.type.postgres for column in columns]
    await connection.copy_to_table(
        name,
        schema_name=schema,
        columns=[column.name for column in columns],
        source=_encoded(_in_wire_form(batch, types) for batch in batches),
        format="binary",
    )


def _in_wire_form(batch: pa.RecordBatch, types: Sequence[str]) -> pa.RecordBatch:
    columns = [wire_form(column, kind) for column, kind in zip(batch.columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


async def _encoded(batches: Iterator[pa.RecordBatch]) -> AsyncIterator[bytes]:
    """The stream of COPY. While the server takes one batch, the next is read and encoded."""
    following = asyncio.create_task(asyncio.to_thread(_next, batches))
    try:
        yield HEADER
        while encoded := await following:
            following = asyncio.create_task(asyncio.to_thread(_next, batches))
            # In pieces, because the driver copies twice what it sends.
            for start in range(0, len(encoded), PIECE_BYTES):
                yield encoded[start : start + PIECE_BYTES]
        yield END
    finally:
        # A thread cannot be cancelled, and nothing else may read the batches while it runs.
        with suppress(Exception):
            await following


def _next(batches: Iterator[pa.RecordBatch]) -> bytes:
    """The next batch that has rows, encoded; empty after the last one."""
    return next((encode(batch) for batch in batches if batch.num_rows), b"")

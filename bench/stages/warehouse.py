"""Rows into the warehouse."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import polars as pl
import pyarrow as pa

from bench.stages.psql import psql
from bench.stages.step import Meter, Step, in_thread
from bench.stand import WrongResult
from totesys.arrow import arrow_schema
from totesys.connection import Connection, connect
from totesys.sql import column_list, ident, qualified
from totesys.table import Fact
from totesys_load.ddl import create_table
from totesys_load.ledger_migrations import LEDGER
from totesys_load.parquet_copy import TEMPORARY, copy_rows
from totesys_load.staging import INCOMING, analyze_incoming, append_versions, make_incoming
from totesys_load.warehouse_connection import WarehouseConnection

_SCHEMA = "warehouse"
_BARE = "bare"
CHANGED_ROWS = 100_000


@asynccontextmanager
async def warehouse(dsn: str, fact: Fact) -> AsyncIterator[Connection]:
    """A connection to a warehouse of one table as it is declared, and one with the same columns and no index."""
    async with connect("The warehouse", dsn) as connection:
        await connection.execute(
            f"{LEDGER} CREATE SCHEMA {ident(_SCHEMA)}; {create_table(_SCHEMA, fact)}"
            f"CREATE TABLE {qualified(_SCHEMA, _BARE)} (LIKE {qualified(_SCHEMA, fact.name)} INCLUDING IDENTITY)"
        )
        yield connection


async def encode(meter: Meter, fact: Fact, tables: Sequence[pa.Table]) -> bytes:
    """Measure the encoding for binary COPY; the encoded rows."""
    whole = pa.concat_tables(tables)
    encoded = await _encoded(fact, whole)

    async def ours() -> None:
        for table in tables:
            await _encoded(fact, table)

    await meter.measure(
        Step(
            name="encode",
            rows=whole.num_rows,
            bytes=len(encoded),
            ours=ours,
            limit="pyarrow, the rows as its own stream",
            bare=in_thread(_encode_at_once, whole.combine_chunks()),
        )
    )
    return encoded


class _Collector:
    """In the place of a connection: takes what COPY would send."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def copy_to_table(self, _: str, *, source: AsyncIterator[bytes], **__: Any) -> None:
        async for chunk in source:
            self.chunks.append(chunk)


async def _encoded(fact: Fact, rows: pa.Table) -> bytes:
    collector = _Collector()
    await copy_rows(cast(Connection, collector), _SCHEMA, fact.name, rows)
    return b"".join(collector.chunks)


def _encode_at_once(rows: pa.Table) -> None:
    with pa.ipc.new_stream(pa.BufferOutputStream(), rows.schema) as stream:
        stream.write_table(rows)


async def copy_in(
    meter: Meter, dsn: str, connection: Connection, fact: Fact, tables: Sequence[pa.Table], encoded: bytes
) -> None:
    """Measure binary COPY into the declared table, in one transaction as a run is; it keeps the rows."""

    async def empty() -> None:
        await connection.execute(f"TRUNCATE {qualified(_SCHEMA, fact.name)}, {qualified(_SCHEMA, _BARE)}")

    with TemporaryDirectory() as folder:
        file = Path(folder, "rows.pgcopy")
        await asyncio.to_thread(file.write_bytes, encoded)
        target = f"{qualified(_SCHEMA, _BARE)} ({column_list(fact.column_names)})"
        await meter.measure(
            Step(
                name="COPY in",
                rows=sum(table.num_rows for table in tables),
                bytes=len(encoded),
                ours=lambda: _fill(connection, fact, tables),
                limit="psql COPY, no index",
                bare=lambda: psql(dsn, f"\\copy {target} FROM '{file}' WITH (FORMAT binary)"),
                before=empty,
            )
        )
    await empty()
    await _fill(connection, fact, tables)


async def _fill(connection: Connection, fact: Fact, tables: Sequence[pa.Table]) -> None:
    async with connection.transaction():
        for table in tables:
            await copy_rows(connection, _SCHEMA, fact.name, table)


async def merge(meter: Meter, connection: Connection, fact: Fact, tables: Sequence[pa.Table]) -> None:
    """Measure the anti-join of as many rows as the table holds, of which some are new versions.

    Raises WrongResult if it writes others.
    """
    rows = pa.concat_tables(tables)
    changed = min(CHANGED_ROWS, rows.num_rows // 2)
    incoming = _with_changes(fact, rows, changed)
    last = incoming.column(fact.key)[changed - 1].as_py()
    transaction = connection.transaction()

    async def before() -> None:
        nonlocal transaction
        await transaction.rollback()
        await connection.execute(f"VACUUM (ANALYZE) {qualified(_SCHEMA, fact.name)}")
        transaction = connection.transaction()
        await transaction.start()
        await make_incoming(WarehouseConnection(connection, _SCHEMA), fact)
        await copy_rows(connection, TEMPORARY, INCOMING, incoming)
        await analyze_incoming(connection)

    async def ours() -> None:
        written = await append_versions(WarehouseConnection(connection, _SCHEMA), fact)
        if written != changed:
            raise WrongResult(f"The merge wrote {written} versions of {changed} changed rows.")

    await transaction.start()
    try:
        await meter.measure(
            Step(
                name="merge",
                rows=incoming.num_rows,
                bytes=incoming.nbytes,
                ours=ours,
                limit="INSERT of the changed rows",
                bare=lambda: connection.execute(_insert(fact), last),
                before=before,
            )
        )
    finally:
        await transaction.rollback()


def _with_changes(fact: Fact, rows: pa.Table, changed: int) -> pa.Table:
    """The rows, the first `changed` of them with another value in a column that is not the key."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    numbers = [name for name, kind in frame.schema.items() if kind.is_integer() and name != fact.key]
    first = pl.int_range(pl.len()) < changed
    return frame.with_columns(pl.col(numbers[-1]) + first.cast(pl.Int32)).to_arrow().cast(arrow_schema(fact))


def _insert(fact: Fact) -> str:
    columns = column_list(fact.column_names)
    return (
        f"INSERT INTO {qualified(_SCHEMA, fact.name)} ({columns}) SELECT {columns} "
        f"FROM {qualified(TEMPORARY, INCOMING)} WHERE {ident(fact.key)} <= $1"
    )

"""Rows out of the source as CSV, and rows into the warehouse."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import polars as pl
import pyarrow as pa

from bench.bench_server import WrongResult
from bench.peers import measured_command
from bench.peers.postgres_alone import SCHEMA, SOURCE_SCHEMA, psql
from bench.steps.meter import Amount, Meter, in_thread
from totesys.arrow import arrow_schema
from totesys.connection import Connection, connect
from totesys.sql import column_list, ident, qualified
from totesys.table import Fact, SourceTable
from totesys_ingest.extraction_jobs import Job, plan_jobs
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.source_catalog import read_pages
from totesys_ingest.source_connection import SourceConnection, csv_header, open_source
from totesys_load.ddl import create_table
from totesys_load.ledger_migrations import LEDGER
from totesys_load.parquet_copy import TEMPORARY, copy_rows
from totesys_load.staging import INCOMING, analyze_incoming, append_versions, make_incoming
from totesys_load.warehouse_connection import WarehouseConnection

_BARE = "bare"
CHANGED_ROWS = 100_000


@dataclass(frozen=True)
class CsvPart:
    """A part as ingest writes it: `chunks` are as COPY sent them, the header first."""

    rows: int
    chunks: tuple[bytes, ...]


async def copy_out(meter: Meter, dsn: str, table: SourceTable) -> list[CsvPart]:
    """Measure COPY to CSV over one connection; the parts."""

    async def discard(_: bytes) -> None:
        pass

    async with open_source(dsn, SOURCE_SCHEMA) as source:
        pages, page_bytes = await read_pages(source.connection, source.schema, [table])
        part_bytes: int = IngestSettings.model_fields["part_bytes"].default
        jobs = plan_jobs([table], pages, part_bytes // page_bytes)
        parts = [await _read(source, job) for job in jobs]

        async def ours() -> None:
            for job in jobs:
                await source.copy(job, discard)

        query = f"COPY (SELECT {column_list(table.column_names)} FROM {qualified(SOURCE_SCHEMA, table.name)})"
        amount = Amount(sum(part.rows for part in parts), sum(len(chunk) for part in parts for chunk in part.chunks))
        statement = f"{query} TO STDOUT (FORMAT csv)"
        await meter.measure("COPY out", amount, ours, "psql COPY to /dev/null", lambda: _psql(dsn, statement))
    return parts


async def _read(source: SourceConnection, job: Job) -> CsvPart:
    chunks = [csv_header(job.table.column_names)]

    async def keep(data: bytes) -> None:
        chunks.append(bytes(data))

    rows = await source.copy(job, keep)
    return CsvPart(rows, tuple(chunks))


async def _psql(dsn: str, command: str) -> None:
    """Run one command and discard its output. Raises CommandFailed."""
    process = await asyncio.create_subprocess_exec(
        *psql(dsn, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise measured_command.CommandFailed(f"psql failed: {errors.decode().strip()}")


@asynccontextmanager
async def warehouse(dsn: str, fact: Fact) -> AsyncIterator[Connection]:
    """A connection to a warehouse with one table as declared, and one with the same columns and no index."""
    async with connect("The warehouse", dsn) as connection:
        await connection.execute(
            f"{LEDGER} CREATE SCHEMA {ident(SCHEMA)}; {create_table(SCHEMA, fact)}"
            f"CREATE TABLE {qualified(SCHEMA, _BARE)} (LIKE {qualified(SCHEMA, fact.name)} INCLUDING IDENTITY)"
        )
        yield connection


class _Collector:
    """Stands in for a connection and keeps what COPY would send."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def copy_to_table(self, _: str, *, source: AsyncIterator[bytes], **__: Any) -> None:
        async for chunk in source:
            self.chunks.append(chunk)


async def _encoded(fact: Fact, rows: pa.Table) -> bytes:
    collector = _Collector()
    await copy_rows(cast(Connection, collector), SCHEMA, fact.name, rows)
    return b"".join(collector.chunks)


async def encode(meter: Meter, fact: Fact, tables: Sequence[pa.Table]) -> bytes:
    """Measure encoding for binary COPY; the encoded rows."""
    whole = pa.concat_tables(tables)
    encoded = await _encoded(fact, whole)

    async def ours() -> None:
        for table in tables:
            await _encoded(fact, table)

    def stream(rows: pa.Table) -> None:
        with pa.ipc.new_stream(pa.BufferOutputStream(), rows.schema) as sink:
            sink.write_table(rows)

    limit, bare = "pyarrow, the rows as its own stream", in_thread(stream, [whole.combine_chunks()])
    await meter.measure("encode", Amount(whole.num_rows, len(encoded)), ours, limit, bare)
    return encoded


async def copy_in(
    meter: Meter, dsn: str, connection: Connection, fact: Fact, tables: Sequence[pa.Table], encoded: bytes
) -> None:
    """Measure binary COPY into the declared table, in one transaction like a run; it keeps the rows."""

    async def empty() -> None:
        await connection.execute(f"TRUNCATE {qualified(SCHEMA, fact.name)}, {qualified(SCHEMA, _BARE)}")

    async def ours() -> None:
        async with connection.transaction():
            for table in tables:
                await copy_rows(connection, SCHEMA, fact.name, table)

    with TemporaryDirectory() as folder:
        file = Path(folder, "rows.pgcopy")
        await asyncio.to_thread(file.write_bytes, encoded)
        target = f"{qualified(SCHEMA, _BARE)} ({column_list(fact.column_names)})"
        statement = f"\\copy {target} FROM '{file}' WITH (FORMAT binary)"
        amount = Amount(sum(table.num_rows for table in tables), len(encoded))
        bare = "psql COPY, no index"
        await meter.measure("COPY in", amount, ours, bare, lambda: _psql(dsn, statement), before=empty)
    await empty()
    await ours()


async def merge(meter: Meter, connection: Connection, fact: Fact, tables: Sequence[pa.Table]) -> None:
    """Measure the anti-join of as many rows as the table holds, some of them new versions.

    Raises WrongResult if it writes others.
    """
    rows = pa.concat_tables(tables)
    changed = min(CHANGED_ROWS, rows.num_rows // 2)
    incoming = _with_changes(fact, rows, changed)
    last = incoming.column(fact.only_key)[changed - 1].as_py()
    target = WarehouseConnection(connection, SCHEMA)
    transaction = connection.transaction()

    async def before() -> None:
        nonlocal transaction
        await transaction.rollback()
        await connection.execute(f"VACUUM (ANALYZE) {qualified(SCHEMA, fact.name)}")
        transaction = connection.transaction()
        await transaction.start()
        await make_incoming(target, fact)
        await copy_rows(connection, TEMPORARY, INCOMING, incoming)
        await analyze_incoming(connection, fact)

    async def ours() -> None:
        written = await append_versions(target, fact)
        if written != changed:
            raise WrongResult(f"The merge wrote {written} versions of {changed} changed rows.")

    columns = column_list(fact.column_names)
    insert = (
        f"INSERT INTO {qualified(SCHEMA, fact.name)} ({columns}) SELECT {columns} "
        f"FROM {qualified(TEMPORARY, INCOMING)} WHERE {ident(fact.only_key)} <= $1"
    )
    await transaction.start()
    try:
        amount = Amount(incoming.num_rows, incoming.nbytes)
        limit = "INSERT of the changed rows"
        await meter.measure("merge", amount, ours, limit, lambda: connection.execute(insert, last), before=before)
    finally:
        await transaction.rollback()


def _with_changes(fact: Fact, rows: pa.Table, changed: int) -> pa.Table:
    """The rows, the first `changed` of them with another value in a column other than the key."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    numbers = [name for name, kind in frame.schema.items() if kind.is_integer() and name != fact.only_key]
    first = pl.int_range(pl.len()) < changed
    return frame.with_columns(pl.col(numbers[-1]) + first.cast(pl.Int32)).to_arrow().cast(arrow_schema(fact))

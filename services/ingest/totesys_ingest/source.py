"""All SQL that ingest runs on the source. It needs SELECT on the declared tables and nothing else."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg

from totesys.errors import AccessDenied, DatabaseUnavailable, SchemaDrift
from totesys.postgres import Connection, connect, place
from totesys.sql import column_list, ident, qualified
from totesys.table import SourceTable
from totesys.transactions import SOURCE_ID, since
from totesys_ingest.baseline import Snapshot
from totesys_ingest.contract import Catalog, compare
from totesys_ingest.plan import Job, Slice

WHAT = "The source"
# The key of the advisory lock: any number, but the same for every ingest.
LOCK = 0x746F7465737973
# Whoever waits to change a table keeps all others from it meanwhile: then the extraction gives way.
LOCK_TIMEOUT = "60s"

_SNAPSHOT = f"""
SELECT pg_export_snapshot() AS id, {SOURCE_ID} AS source,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax
"""

_CATALOG = """
SELECT c.relname AS table_name, a.attname AS column_name, format_type(a.atttypid, a.atttypmod) AS kind,
       has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
"""

_PAGES = """
SELECT c.relname AS table_name, pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages,
       current_setting('block_size')::int AS page_bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
"""

Sink = Callable[[bytes], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Source:
    """A connection to the source, in one schema."""

    connection: Connection
    dsn: str = field(repr=False)
    schema: str

    async def try_lock(self) -> bool:
        """Take the lock that one extraction at a time holds; whether it was free."""
        return bool(await self.connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK))

    async def holds_lock(self) -> bool:
        """Whether this connection still lives and holds the lock."""
        query = (
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted)"
        )
        return bool(await self.connection.fetchval(query))

    async def take_snapshot(self, tables: Iterable[SourceTable]) -> Snapshot:
        """Begin the transaction whose snapshot all extracting connections share.

        Rows keep their pages until it ends: VACUUM FULL would move them between one part and the next.
        """
        names = ", ".join(qualified(self.schema, table.name) for table in tables)
        await self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await self.connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        row = await self.connection.fetchrow(_SNAPSHOT)
        assert row is not None
        return Snapshot(**dict(row))

    async def share_snapshot(self, snapshot: Snapshot) -> None:
        """Begin a transaction that sees exactly what `snapshot` sees."""
        await self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # SET TRANSACTION takes no parameter; the id is Postgres's own, of hexadecimal digits and dashes.
        await self.connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot.id}'")

    async def catalog(self, tables: Sequence[SourceTable]) -> Catalog:
        """The columns of the declared tables that exist. Raises AccessDenied where SELECT is missing."""
        rows = await self.connection.fetch(_CATALOG, self.schema, [table.name for table in tables])
        declared = {(table.name, name) for table in tables for name in table.column_names}
        denied = {row["table_name"] for row in rows if not row["readable"] and (row[0], row[1]) in declared}
        if denied:
            raise AccessDenied(
                f"{WHAT} at {place(self.dsn)} does not let this role read {', '.join(sorted(denied))}. "
                f"Grant SELECT on all declared tables of schema {self.schema}."
            )
        catalog: dict[str, dict[str, str]] = defaultdict(dict)
        for row in rows:
            catalog[row["table_name"]][row["column_name"]] = row["kind"]
        return catalog

    async def pages(self, tables: Iterable[SourceTable]) -> tuple[dict[str, int], int]:
        """The size of each table in pages, and a page's bytes."""
        rows = await self.connection.fetch(_PAGES, self.schema, [table.name for table in tables])
        return {row["table_name"]: row["pages"] for row in rows}, rows[0]["page_bytes"]

    async def changed(self, tables: Sequence[SourceTable], xmin: int) -> set[str]:
        """The tables that have a row of a transaction that a snapshot with this xmin may not have seen."""
        tests = (f"EXISTS (SELECT FROM {qualified(self.schema, t.name)} WHERE {since(xmin)})" for t in tables)
        row = await self.connection.fetchrow(f"SELECT {', '.join(tests)}")
        assert row is not None
        return {table.name for table, found in zip(tables, row, strict=True) if found}

    async def copy(self, job: Job, of: Slice, sink: Sink) -> int:
        """Stream those rows of a job as CSV without a header, or the ranges of all keys; their number."""
        query = _ranges_query(self.schema, job.table) if job.keys else _rows_query(self.schema, job, of)
        wanted = [of.wanted] if of.wanted and not job.keys else []
        status = await self.connection.copy_from_query(query, *wanted, output=sink, format="csv")
        return int(status.removeprefix("COPY "))


def _rows_query(schema: str, job: Job, of: Slice) -> str:
    conditions = []
    if job.first_page > 0:
        conditions.append(f"ctid >= '({job.first_page},0)'::tid")
    if job.end_page is not None:
        conditions.append(f"ctid < '({job.end_page},0)'::tid")
    if of.xmin is not None:
        wanted = f" OR {ident(job.table.key)} = ANY ($1::bigint[])" if of.wanted else ""
        conditions.append(f"({since(of.xmin)}{wanted})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {column_list(job.table.column_names)} FROM {qualified(schema, job.table.name)}{where}"


def _ranges_query(schema: str, table: SourceTable) -> str:
    """The stretches of keys without a gap, in order: one pass over the key's index, or over the table and a sort."""
    key, relation = ident(table.key), qualified(schema, table.name)
    return (
        f"SELECT first_key, coalesce(lead(before) OVER (ORDER BY first_key), (SELECT max({key}) FROM {relation})) "
        f"FROM (SELECT {key}::bigint AS first_key, lag({key}::bigint) OVER (ORDER BY {key}) AS before FROM {relation}) "
        "AS keys WHERE before IS DISTINCT FROM first_key - 1 ORDER BY first_key"
    )


def csv_header(columns: Iterable[str]) -> bytes:
    """The header line that COPY would write."""
    return (",".join(_csv_name(name) for name in columns) + "\n").encode()


def _csv_name(name: str) -> str:
    return ident(name) if any(character in name for character in ',"\r\n') else name


@asynccontextmanager
async def open_source(dsn: str, schema: str, longest: timedelta = timedelta(hours=1)) -> AsyncIterator[Source]:
    """A connection to the source; no statement may take longer than `longest`.

    Raises DatabaseUnavailable, AccessDenied, SettingsError or SchemaDrift.
    """
    session = {
        # So that a type of this schema is printed without it, as it is declared.
        "search_path": ident(schema),
        "statement_timeout": str(int(longest.total_seconds() * 1000)),
        # The connection that holds the snapshot is idle while the others extract.
        "idle_in_transaction_session_timeout": "0",
        "lock_timeout": LOCK_TIMEOUT,
    }
    async with connect(WHAT, dsn, **session) as connection:
        try:
            yield Source(connection, dsn, schema)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise SchemaDrift(f"{WHAT} at {place(dsn)} changed while it was read: {error}.") from error
        except asyncpg.DataError as error:
            raise DatabaseUnavailable(f"{WHAT} at {place(dsn)} cannot give its snapshot: {error}.") from error


async def check_contract(source: Source, tables: Sequence[SourceTable]) -> tuple[str, ...]:
    """The columns that are there without being declared. Raises SchemaDrift or AccessDenied."""
    comparison = compare(tables, await source.catalog(tables))
    if comparison.breaking:
        raise SchemaDrift(
            f"{WHAT} at {place(source.dsn)}, schema {source.schema}, is not what the model declares: "
            f"{'; '.join(comparison.breaking)}. No run was made. Mend the source or the declaration."
        )
    return comparison.additions

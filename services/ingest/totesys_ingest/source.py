"""All SQL that ingest runs on the source. It needs SELECT on the declared tables and nothing else."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import asyncpg

from totesys.connection import Connection, connect, encoding_of, redacted
from totesys.database_errors import plain
from totesys.encodings import NOT_CHECKED
from totesys.errors import AccessDenied, DatabaseUnavailable, DataRefused, SchemaDrift
from totesys.sql import column_list, ident, qualified
from totesys.table import SourceTable
from totesys.transactions import LSN, HighWaterMark
from totesys_ingest.compatible import FoundType
from totesys_ingest.contract import Comparison, FoundColumn, FoundTable, compare
from totesys_ingest.definition import read_definitions
from totesys_ingest.plan import Job, Slice
from totesys_ingest.start import Snapshot
from totesys_ingest.unique_key import Guards, read_guards, repeated_keys

WHAT = "The source"
# The key of the advisory lock: any number, but the same for every ingest.
LOCK = 0x746F7465737973
# Whoever waits to change a table keeps all others from it meanwhile: then the extraction gives way.
LOCK_TIMEOUT = "60s"
# A table that is missing, barred, or none.
_CANNOT_BE_LOCKED = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.WrongObjectTypeError,
)

# The first statement of its transaction: whatever was committed before it began is in the snapshot, and whatever is in
# the snapshot is in the log by now.
_SNAPSHOT = f"SELECT statement_timestamp() AS taken_at, pg_export_snapshot() AS id, {LSN} AS lsn"

# Of each relation of the schema; the columns only of those that are declared. An enum has its name alone, as it is
# declared, whichever schema it is in and whether or not this role may use that.
_CATALOG = """
SELECT c.relname AS table_name, c.relkind::text AS kind, has_schema_privilege(n.oid, 'USAGE') AS schema_usable,
       has_table_privilege(c.oid, 'SELECT') AS table_readable, row_security_active(c.oid) AS filtered,
       a.attname AS column_name, NOT a.attnotnull AS nullable,
       CASE WHEN t.typtype = 'e' THEN '"' || replace(t.typname, '"', '""') || '"'
            ELSE format_type(a.atttypid, a.atttypmod)
       END AS type,
       has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable,
       CASE WHEN t.typtype = 'e'
            THEN ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
       END AS labels
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a
       ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = ANY ($2::text[])
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (c.relname = ANY ($2::text[]) OR NOT c.relispartition)
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

    async def begin(self, tables: Sequence[SourceTable]) -> tuple[Snapshot | None, Comparison]:
        """Begin the transaction that keeps the tables as they are, and compare them with their declarations in it.

        No ALTER TABLE comes between this and its end. Rows keep their pages until then: VACUUM FULL would move
        them between one part and the next. What cannot be locked is among the comparison's breaches: then there is no
        snapshot.
        """
        names = ", ".join(qualified(self.schema, table.name) for table in tables)
        await self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            await self.connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        except _CANNOT_BE_LOCKED:
            await self.connection.execute("ROLLBACK")
            comparison = await self.compare(tables)
            if not comparison.breaches:
                raise
            return None, comparison
        row = await self.connection.fetchrow(_SNAPSHOT)
        assert row is not None
        comparison = await self.compare(tables)
        definitions = await read_definitions(self.connection, self.schema, tables)
        return Snapshot(**dict(row), definitions=definitions), comparison

    async def share_snapshot(self, snapshot: Snapshot) -> None:
        """Begin a transaction that sees exactly what `snapshot` sees."""
        await self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # SET TRANSACTION takes no parameter; the id is Postgres's own, of hexadecimal digits and dashes.
        try:
            await self.connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot.id}'")
        except (asyncpg.InvalidParameterValueError, asyncpg.UndefinedObjectError) as error:
            # It ended with the connection that held it.
            raise DatabaseUnavailable(
                f"{WHAT} at {redacted(self.dsn)} has no such snapshot: {plain(error)}. Name one server, not an "
                "endpoint that leads each connection to another one."
            ) from error

    async def compare(self, tables: Sequence[SourceTable]) -> Comparison:
        """How the source's schema differs from the declared tables."""
        rows = await self.connection.fetch(_CATALOG, self.schema, [table.name for table in tables])
        guards = await read_guards(self.connection, self.schema, tables)
        by_table = groupby(rows, key=itemgetter("table_name"))
        found = {name: _found_table(list(columns), guards.get(name, Guards())) for name, columns in by_table}
        return compare(tables, found)

    async def inspect(self, tables: Sequence[SourceTable]) -> Comparison:
        """The same, and the keys that are there more than once where only the declaration says that none is."""
        comparison = await self.compare(tables)
        if comparison.breaches:
            return comparison
        return replace(comparison, drift=(await self.repeated_keys(tables)).drift)

    async def repeated_keys(self, tables: Sequence[SourceTable], mark: HighWaterMark | None = None) -> Comparison:
        """The keys that are there more than once, as breaches. Only what no unique index enforces is looked at.

        With `mark`, only the keys of rows that it has not seen: the others are as they were.
        """
        unenforced = [table for table in tables if table.unenforced_key]
        guards = await read_guards(self.connection, self.schema, unenforced) if unenforced else {}
        changed = mark.unseen() if mark else None
        return Comparison(
            tuple(
                [
                    sentence
                    for table in unenforced
                    if table.name in guards and not guards[table.name].enforce(table.key)
                    for sentence in await repeated_keys(self.connection, self.schema, table, changed)
                ]
            )
        )

    def require(self, comparison: Comparison) -> None:
        """Raises SchemaDrift or AccessDenied, with every breach, if there is one."""
        where, breaches = f"{WHAT} at {redacted(self.dsn)}, schema {self.schema},", "; ".join(comparison.breaches)
        grant = "Grant this role what it lacks." if comparison.denied else ""
        if comparison.drift:
            mend = f"Mend the source or the declaration. {grant}".rstrip()
            raise SchemaDrift(f"{where} is not what the model declares: {breaches}. Nothing was read. {mend}")
        if comparison.denied:
            raise AccessDenied(
                f"{where} bars this role from what the model declares: {breaches}. Nothing was read. {grant}"
            )

    async def pages(self, tables: Iterable[SourceTable]) -> tuple[dict[str, int], int]:
        """The size of each table in pages, and a page's bytes."""
        rows = await self.connection.fetch(_PAGES, self.schema, [table.name for table in tables])
        return {row["table_name"]: row["pages"] for row in rows}, rows[0]["page_bytes"]

    async def changed(self, tables: Sequence[SourceTable], mark: HighWaterMark) -> set[str]:
        """The tables that have a row of a transaction that `mark` has not seen."""
        tests = (f"EXISTS (SELECT FROM {qualified(self.schema, t.name)} WHERE {mark.unseen()})" for t in tables)
        row = await self.connection.fetchrow(f"SELECT {', '.join(tests)}")
        assert row is not None
        return {table.name for table, found in zip(tables, row, strict=True) if found}

    async def copy(self, job: Job, of: Slice, sink: Sink) -> int:
        """Stream those rows of a job as CSV without a header, or the ranges of all keys; their number."""
        query = _ranges_query(self.schema, job.table) if job.keys else _rows_query(self.schema, job, of)
        wanted = [of.wanted] if of.wanted and not job.keys else []
        # Bytes that nobody has checked come as they are: transform tells which rows have others than UTF-8.
        raw = NOT_CHECKED if encoding_of(self.connection) == NOT_CHECKED else None
        try:
            status = await self.connection.copy_from_query(query, *wanted, output=sink, format="csv", encoding=raw)
        except asyncpg.DataError as error:
            raise DataRefused(
                f"{WHAT} at {redacted(self.dsn)} does not give all rows of {job.table.name}: {plain(error)}. "
                "Correct the value in the source."
            ) from None
        return int(status.removeprefix("COPY "))


def _found_table(columns: Sequence[asyncpg.Record], guards: Guards) -> FoundTable:
    table = columns[0]
    return FoundTable(
        table["kind"],
        table["schema_usable"],
        table["table_readable"],
        table["filtered"],
        {row["column_name"]: _found_column(row) for row in columns if row["column_name"] is not None},
        guards,
    )


def _found_column(row: asyncpg.Record) -> FoundColumn:
    labels = None if row["labels"] is None else tuple(row["labels"])
    return FoundColumn(FoundType(row["type"], labels), row["nullable"], row["readable"])


def _rows_query(schema: str, job: Job, of: Slice) -> str:
    conditions = []
    if job.first_page > 0:
        conditions.append(f"ctid >= '({job.first_page},0)'::tid")
    if job.end_page is not None:
        conditions.append(f"ctid < '({job.end_page},0)'::tid")
    if of.mark is not None:
        wanted = f" OR {ident(job.table.key)} = ANY ($1::bigint[])" if of.wanted else ""
        conditions.append(f"({of.mark.unseen()}{wanted})")
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
        "search_path": ident(schema),
        "statement_timeout": str(int(longest.total_seconds() * 1000)),
        "lock_timeout": LOCK_TIMEOUT,
    }
    async with connect(WHAT, dsn, **session) as connection:
        yield Source(connection, dsn, schema)


async def check_contract(source: Source, tables: Sequence[SourceTable]) -> None:
    """Raises SchemaDrift or AccessDenied if an extraction would not start."""
    source.require(await source.inspect(tables))

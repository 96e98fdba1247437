"""A connection to the source: its lock, its snapshot, and the rows it streams.

Ingest needs SELECT on the declared tables and nothing else.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import asyncpg

from totesys.connection import Connection, connect, encoding_of, redacted
from totesys.database_errors import plain
from totesys.encodings import NOT_CHECKED
from totesys.errors import DatabaseUnavailable, DataRefused
from totesys.representable import read
from totesys.source_relations import page, rows_of, unseen
from totesys.sql import ident, qualified
from totesys.sql_keys import key_among, key_list, keys_parameter
from totesys.table import SourceQuery, SourceTable
from totesys.transactions import LSN, HighWaterMark
from totesys_ingest.extraction_jobs import ChangedRows, Job
from totesys_ingest.query_changes import describe
from totesys_ingest.source_catalog import base_names, find_duplicate_keys, read_source_catalog
from totesys_ingest.source_contract import ContractChanges, compare

# The key of the advisory lock: any number, as long as every ingest uses the same one.
LOCK = 0x746F7465737973
# How long an extraction waits for a table that another session is altering.
LOCK_TIMEOUT = "60s"
# The errors of a declared table that is missing, denied to this role, or not a table.
_CANNOT_BE_LOCKED = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.WrongObjectTypeError,
)

# The first query of its transaction takes the snapshot: it shows whatever was committed before the query began, and
# whatever it shows is in the log by now.
_SNAPSHOT = f"SELECT statement_timestamp() AS taken_at, pg_export_snapshot() AS id, {LSN} AS lsn"
_HOLDS_LOCK = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted)"
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A source's rows in a query.
_ROWS = "r"

Sink = Callable[[bytes], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class SourceConnection:
    """A connection to the source, in one schema."""

    connection: Connection
    dsn: str = field(repr=False)
    schema: str

    @property
    def location(self) -> str:
        """The source as a message names it, without its password."""
        return f"The source at {redacted(self.dsn)}"

    async def try_lock(self) -> bool:
        """Take the lock that allows one extraction at a time; whether it was free."""
        return bool(await self.connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK))

    async def holds_lock(self) -> bool:
        """Whether this connection is alive and still holds the lock."""
        return bool(await self.connection.fetchval(_HOLDS_LOCK))

    async def begin(self, tables: Sequence[SourceTable]) -> tuple[asyncpg.Record, ContractChanges]:
        """Lock the tables in a transaction, export its snapshot, and compare the tables with their declarations.

        No ALTER TABLE runs before the transaction ends. Rows also keep their pages until then: VACUUM FULL would move
        them between one part and the next. Raises ContractBroken.
        """
        names = ", ".join(qualified(self.schema, name) for name in base_names(tables))
        await self.connection.execute(_BEGIN)
        try:
            await self.connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        except _CANNOT_BE_LOCKED:
            await self.connection.execute("ROLLBACK")
            (await self.compare(tables)).check()
            raise
        exported = await self.connection.fetchrow(_SNAPSHOT)
        assert exported is not None
        changes = await self.compare(tables)
        changes.check()
        return exported, changes

    async def share_snapshot(self, snapshot_id: str) -> None:
        """Begin a transaction that sees exactly what the exported snapshot shows."""
        await self.connection.execute(_BEGIN)
        # SET TRANSACTION takes no parameter. Postgres itself made the id, of hexadecimal digits and dashes.
        try:
            await self.connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot_id}'")
        except (asyncpg.InvalidParameterValueError, asyncpg.UndefinedObjectError) as error:
            # The snapshot ended with the connection that held it.
            raise DatabaseUnavailable(
                f"{self.location} does not know the extraction's snapshot: {plain(error)}. Name one server in the DSN, "
                "not an endpoint that may connect to several."
            ) from error

    async def end_transaction(self) -> None:
        """End the transaction of the snapshot. The lock is the session's, and stays."""
        await self.connection.execute("ROLLBACK")

    async def compare(self, tables: Sequence[SourceTable]) -> ContractChanges:
        """How the source's schema differs from the declared tables."""
        catalog = await read_source_catalog(self.connection, self.schema, tables)
        queries = [table for table in tables if isinstance(table, SourceQuery)]
        described = {query.name: await describe(self.connection, query) for query in queries
                     if catalog.keys() >= set(query.base_tables)}  # fmt: skip
        return compare(tables, catalog, described)

    async def inspect(self, tables: Sequence[SourceTable]) -> ContractChanges:
        """Compare as `compare` does, and look for duplicate keys."""
        changes = await self.compare(tables)
        return changes if changes.breaking else await self.with_duplicate_keys(changes)

    async def with_duplicate_keys(self, changes: ContractChanges, mark: HighWaterMark | None = None) -> ContractChanges:
        """The changes, with a breaking one for each unguarded table that has duplicate keys.

        With `mark`, only the keys of rows that it has not seen are looked at: no others have changed.
        """
        unseen = mark.unseen() if mark else None
        found = [await find_duplicate_keys(self.connection, self.schema, one, unseen) for one in changes.unguarded]
        return replace(changes, drift=(*changes.drift, *(duplicates for duplicates in found if duplicates)))

    def contract_error(self, changes: ContractChanges) -> Exception:
        """The error for breaking changes of this source."""
        return changes.error(f"{self.location}, schema {self.schema},")

    async def changed(self, tables: Sequence[SourceTable], mark: HighWaterMark) -> set[str]:
        """The tables that have a row whose transaction `mark` has not seen."""
        tests = (f"EXISTS (SELECT FROM {qualified(self.schema, t.name)} WHERE {mark.unseen()})" for t in tables)
        row = await self.connection.fetchrow(f"SELECT {', '.join(tests)}")
        assert row is not None
        return {table.name for table, found in zip(tables, row, strict=True) if found}

    async def counts(self, tables: Sequence[str]) -> dict[str, int]:
        """How many rows each table has."""
        if not tables:
            return {}
        counted = (f"(SELECT count(*) FROM {qualified(self.schema, name)})" for name in tables)
        row = await self.connection.fetchrow(f"SELECT {', '.join(counted)}")
        assert row is not None
        return dict(zip(tables, row, strict=True))

    async def copy(self, job: Job, sink: Sink) -> int:
        """Stream the rows of a job, or all keys, as CSV without a header. Returns the number of rows.

        Raises DataRefused for a value that Postgres cannot convert to UTF-8.
        """
        query = _query(job)
        wanted: list[Sequence[object]] = []
        if job.wanted and (job.mark or job.by_key or job.deleted):
            wanted = [keys_parameter(job.table, [str(key) for key in job.wanted])]
        if job.changed and job.changed.rows is not None:
            wanted = [job.changed.rows]
        # A database without an encoding gives its bytes as they are. Transform finds the rows that are not UTF-8.
        raw = NOT_CHECKED if encoding_of(self.connection) == NOT_CHECKED else None
        try:
            status = await self.connection.copy_from_query(query, *wanted, output=sink, format="csv", encoding=raw)
        except asyncpg.DataError as error:
            raise DataRefused(
                f"{self.location} cannot deliver all rows of {job.table.name}: {plain(error)}. "
                "Correct the value in the source."
            ) from None
        return int(status.removeprefix("COPY "))


def _query(job: Job) -> str:
    if job.keys:
        return _keys_query(job.table)
    return _deleted_query(job.table) if job.deleted else _rows_query(job)


def _rows_query(job: Job) -> str:
    conditions = [key_among(job.table, _ROWS)] if job.by_key else []
    if job.first_page > 0:
        conditions.append(f"{page(job.table, _ROWS)} >= '({job.first_page},0)'::tid")
    if job.end_page is not None:
        conditions.append(f"{page(job.table, _ROWS)} < '({job.end_page},0)'::tid")
    if job.mark is not None and job.changed is not None:
        conditions += _conditions_of_change(job, job.mark, job.changed)
    elif job.mark is not None:
        wanted = f" OR {key_among(job.table, _ROWS)}" if job.wanted else ""
        conditions.append(f"({unseen(job.table, job.mark, _ROWS)}{wanted})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = ", ".join(read(column, _ROWS) for column in job.table.columns)
    return f"SELECT {columns} FROM {rows_of(job.table, _ROWS)}{where}"


def _keys_query(table: SourceTable) -> str:
    """All keys: ranges of consecutive integers, in order, or the columns of other keys.

    The ranges take one pass over the key's index, or over the table with a sort.
    """
    key, relation = key_list(table, _ROWS), rows_of(table, _ROWS)
    if not table.has_integer_key:
        return f"SELECT {', '.join(read(column, _ROWS) for column in table.key_columns)} FROM {relation}"
    return (
        f"SELECT first_key, coalesce(lead(before) OVER (ORDER BY first_key), (SELECT max({key}) FROM {relation})) "
        f"FROM (SELECT {key}::bigint AS first_key, lag({key}::bigint) OVER (ORDER BY {key}) AS before FROM {relation}) "
        "AS keys WHERE before + 1 IS DISTINCT FROM first_key ORDER BY first_key"
    )


def _deleted_query(table: SourceTable) -> str:
    """Those of the integer keys in $1 that no row has, as ranges of consecutive keys."""
    return (
        "SELECT min(key), max(key) FROM (SELECT key, key - row_number() OVER (ORDER BY key) AS range "
        f"FROM unnest($1::bigint[]) AS given (key) WHERE NOT EXISTS (SELECT FROM {rows_of(table, _ROWS)} "
        f"WHERE {key_list(table, _ROWS)} = given.key)) AS gone GROUP BY range ORDER BY 1"
    )


def _conditions_of_change(job: Job, mark: HighWaterMark, changed: ChangedRows) -> Iterator[str]:
    """The rows that come from these, and that no job for a table before them brings."""
    if changed.rows is not None:
        # The places let the planner begin with these rows. In a partitioned table, others have the same ones.
        yield f"{page(job.table, _ROWS, changed.place)} = ANY ($1::text[]::tid[])"
    yield unseen(job.table, mark, _ROWS, [changed.place])
    if changed.place:
        yield f"NOT {unseen(job.table, mark, _ROWS, range(changed.place))}"


def csv_header(columns: Iterable[str]) -> bytes:
    """The header line that COPY would write."""
    return (",".join(_csv_name(name) for name in columns) + "\n").encode()


def _csv_name(name: str) -> str:
    return ident(name) if any(character in name for character in ',"\r\n') else name


@asynccontextmanager
async def open_source(
    dsn: str, schema: str, longest: timedelta = timedelta(hours=1)
) -> AsyncIterator[SourceConnection]:
    """Connect to the source. No statement may take longer than `longest`.

    Raises DatabaseUnavailable, AccessDenied, SettingsError or SchemaDrift.
    """
    session = {
        "search_path": ident(schema),
        "statement_timeout": str(int(longest.total_seconds() * 1000)),
        "lock_timeout": LOCK_TIMEOUT,
    }
    async with connect("The source", dsn, **session) as connection:
        yield SourceConnection(connection, dsn, schema)


async def check_contract(source: SourceConnection, tables: Sequence[SourceTable]) -> None:
    """Raise SchemaDrift or AccessDenied if an extraction could not start."""
    changes = await source.inspect(tables)
    if changes.breaking:
        raise source.contract_error(changes)

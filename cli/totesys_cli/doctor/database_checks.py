"""Checks of the two databases: connection, version, clock, functions, connections, tables, rights."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from totesys.connection import Connection, connect, redacted
from totesys.errors import TotesysError
from totesys.schema import Model
from totesys.sql import ident
from totesys_cli.doctor import judge
from totesys_cli.doctor.finding import Finding, FindingLevel, failed, ok, unknown
from totesys_cli.doctor.log_checks import CHECK as LOG_CHECK
from totesys_cli.doctor.log_checks import check_log
from totesys_cli.preflight import prepare_and_roll_back
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.source_connection import open_source
from totesys_ingest.source_history import read_open_transaction, read_status

Check = Callable[[Connection], Awaitable[Finding]]

SOURCE_FUNCTIONS = (
    "pg_try_advisory_lock(bigint)",
    "pg_export_snapshot()",
    "pg_current_snapshot()",
    "pg_current_xact_id()",
    "pg_xact_status(xid8)",
    "pg_control_system()",
    "pg_control_checkpoint()",
    "pg_control_recovery()",
    "pg_walfile_name(pg_lsn)",
    "pg_current_wal_insert_lsn()",
    "pg_last_wal_replay_lsn()",
)
WAREHOUSE_FUNCTIONS = ("pg_advisory_xact_lock(bigint)",)

# The connections of an extraction, or of load and its freshness metric, and one for /health/ready.
SOURCE_CONNECTIONS = int(IngestSettings.model_fields["connections"].default) + 2
WAREHOUSE_CONNECTIONS = 3

_LIMIT = """
    SELECT quote_ident(rolname),
           CASE WHEN NOT rolsuper THEN least(nullif(rolconnlimit, -1), nullif(datconnlimit, -1)) END
    FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()"""
_DENIED = "SELECT name FROM unnest($1::text[]) AS name WHERE NOT has_function_privilege(name, 'EXECUTE')"


async def check_source(model: Model, dsn: str, schema: str) -> list[Finding]:
    """Check the source as ingest needs it."""

    async def tables() -> Finding:
        async with open_source(dsn, schema) as source:
            changes = await source.inspect(model.sources)
            role = await source.connection.fetchval("SELECT quote_ident(current_user)")
        return judge.contract(len(model.sources), changes, ident(schema), role)

    async def open_transaction(connection: Connection) -> Finding:
        status = await read_status(connection)
        return judge.open_transaction(await read_open_transaction(connection, status, None), status.time)

    async def log(connection: Connection) -> Finding:
        return await check_log(connection, model, schema)

    own = {"source transactions": open_transaction, LOG_CHECK: log}
    found = await _check("source", dsn, SOURCE_FUNCTIONS, SOURCE_CONNECTIONS, own)
    if found[0].level == FindingLevel.FAIL:
        return [*found, *unknown(["source tables"], "the source does not respond")]
    # One connection at a time: the role may be limited to one.
    try:
        return [*found, await tables()]
    except TotesysError as error:
        return [*found, failed("source tables", error)]


async def check_warehouse(model: Model, dsn: str, schema: str) -> list[Finding]:
    """Check the warehouse as load needs it: prepared in a transaction that is rolled back."""

    async def tables(connection: Connection) -> Finding:
        await prepare_and_roll_back(connection, model, dsn, schema)
        return ok("warehouse tables", "Its tables match the declarations, or can be created.")

    return await _check("warehouse", dsn, WAREHOUSE_FUNCTIONS, WAREHOUSE_CONNECTIONS, {"warehouse tables": tables})


async def _check(side: str, dsn: str, functions: Sequence[str], wanted: int, own: Mapping[str, Check]) -> list[Finding]:
    async def version(connection: Connection) -> Finding:
        number = await connection.fetchval("SELECT current_setting('server_version_num')::int")
        return judge.postgres_version(side, number)

    async def clock(connection: Connection) -> Finding:
        before = datetime.now(UTC)
        there = await connection.fetchval("SELECT clock_timestamp()")
        after = datetime.now(UTC)
        # The server read its clock between the two.
        return judge.clock(side, there - (before + (after - before) / 2))

    async def rights(connection: Connection) -> Finding:
        role = await connection.fetchval("SELECT current_user")
        denied = await connection.fetch(_DENIED, list(functions))
        return judge.functions(side, role, [row["name"] for row in denied])

    async def connections(connection: Connection) -> Finding:
        row = await connection.fetchrow(_LIMIT)
        assert row is not None
        return judge.connections(side, row[0], row[1], wanted)

    checks: dict[str, Check] = {
        f"{side} version": version,
        f"{side} clock": clock,
        f"{side} functions": rights,
        f"{side} connections": connections,
        **own,
    }
    try:
        async with connect(f"The {side}", dsn) as connection:
            reached = ok(f"{side} connection", f"The {side} at {redacted(dsn)} responds.")
            return [reached, *[await _make(name, check, connection) for name, check in checks.items()]]
    except TotesysError as error:
        return [failed(f"{side} connection", error), *unknown(list(checks), f"the {side} does not respond")]


async def _make(name: str, check: Check, connection: Connection) -> Finding:
    try:
        return await check(connection)
    except TotesysError as error:
        return failed(name, error)

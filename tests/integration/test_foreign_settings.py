"""What a server, a database or a role has set changes nothing of what comes over and of what is verified."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.command import as_role
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library, rows, verified
from totesys.connection import redacted
from totesys_cli.doctor.database_checks import check_source, check_warehouse
from totesys_cli.doctor.finding import FindingLevel
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres

ROLE = "stranger"
# Each makes output, names, statements, transactions or waiting other than usual.
SETTINGS = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Pacific/Chatham",
    "array_nulls": "off",
    "backslash_quote": "off",
    "bytea_output": "escape",
    "check_function_bodies": "off",
    "client_encoding": "LATIN1",
    "client_min_messages": "debug1",
    "constraint_exclusion": "on",
    "cursor_tuple_fraction": "1",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "enable_seqscan": "off",
    "escape_string_warning": "on",
    "exit_on_error": "on",
    "extra_float_digits": "-15",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "1",
    "jit": "on",
    "jit_above_cost": "0",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lock_timeout": "1",
    "plan_cache_mode": "force_generic_plan",
    "quote_all_identifiers": "on",
    "row_security": "on",
    "search_path": "shadows, pg_catalog, public",
    "session_replication_role": "replica",
    "standard_conforming_strings": "off",
    "statement_timeout": "1",
    "synchronous_commit": "off",
    "synchronize_seqscans": "on",
    "transform_null_equals": "on",
    "work_mem": "64kB",
    "xmlbinary": "hex",
    "xmloption": "document",
}
# Of releases from 17 on, the former also of newer minor ones of those before. The latter is taken back by the first
# statement of a connection, which has to be done by then.
NEWER = {"restrict_nonsystem_relation_kind": "view, foreign-table", "transaction_timeout": "300"}
# What goes before Postgres's own functions, and before the declared tables, if a search path says so.
SHADOWS = (
    "CREATE SCHEMA shadows",
    "CREATE FUNCTION shadows.age(xid) RETURNS int LANGUAGE sql AS 'SELECT 7'",
    "CREATE FUNCTION shadows.max(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint'",
    "CREATE FUNCTION shadows.lt(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE OPERATOR shadows.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = shadows.lt)",
    "CREATE OPERATOR shadows.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4ne)",
    "CREATE FUNCTION shadows.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
    *(f"CREATE TABLE shadows.{name} (nothing int)" for name in ("book", "loan", "run", "dim_book", "fact_loan")),
    *(f"CREATE TABLE shadows.{name} (nothing int)" for name in ("pg_class", "pg_attribute", "pg_index")),
)


@pytest.fixture
async def stranger(postgres: ReachablePostgres) -> AsyncIterator[str]:
    """A role that may do everything; its password is its name."""
    await execute(postgres.dsn(), f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD '{ROLE}'")
    yield ROLE
    await execute(postgres.dsn(), f"DROP ROLE {ROLE}")


async def known(dsn: str) -> dict[str, str]:
    """The settings that this release has."""
    there = {row[0] for row in await rows(dsn, "SELECT name FROM pg_settings")}
    return {name: value for name, value in {**SETTINGS, **NEWER}.items() if name in there or name in SETTINGS}


@pytest.mark.parametrize("of", ["database", "role", "role in a database"])
async def test_settings_of_a_role_or_a_database_change_nothing(
    of: str,
    stranger: str,
    postgres: ReachablePostgres,
    database: Callable[[], str],
    data_plane: LocalDataPlane,
) -> None:
    source, warehouse = await make_library(database()), database()
    for dsn in (source, warehouse):
        await execute(dsn, *SHADOWS)
    for dsn in (source, warehouse):
        name = dsn.rpartition("/")[2]
        owner = {"database": f"DATABASE {name}", "role": f"ROLE {ROLE}"}.get(of, f"ROLE {ROLE} IN DATABASE {name}")
        for setting, value in (await known(dsn)).items():
            written = value if setting == "search_path" else f"'{value}'"
            await execute(postgres.dsn(), f"ALTER {owner} SET {setting} = {written}")
    asked, kept = as_role(source, stranger, stranger), as_role(warehouse, stranger, stranger)
    async with Pipeline(MODEL, data_plane, asked, kept) as pipeline:
        await pipeline.tick()
        await execute(
            asked,
            "INSERT INTO loan VALUES (3, 1, 'Zoë \\ ''', '2026-03-02 10:00', 1234.50, false)",
            "UPDATE book SET title = 'Du''ne Ł' WHERE book_id = 1",
            "DELETE FROM loan WHERE loan_id = 2",
        )
        await pipeline.tick("sweep")
        assert await verified(asked, kept, MODEL)
    loans = await rows(warehouse, "SELECT loan_id, reader, lent_on::text FROM warehouse.fact_loan_current ORDER BY 1")
    assert loans == [(1, "Ada", "2026-01-05"), (3, "Zoë \\ '", "2026-03-02")]
    for found in (*await check_source(MODEL, asked, "public"), *await check_warehouse(MODEL, kept, "warehouse")):
        assert found.level != FindingLevel.FAIL, (found.check, found.sentence, redacted(asked))

"""`totesys local reader`: the role reads everything that docs/analysts.md uses, and does nothing else."""

import os
import pty
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from docs.build.data_dictionary import to_markdown
from tests.command import Command, Companies, Company, as_role, rows
from tests.models import shops
from tests.pipeline import Pipeline
from tests.sources import execute
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.schema import Model
from totesys.sql import ident, qualified
from totesys.table import Fact
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template
from totesys_load.warehouse_setup import prepare

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "analysts.md"
PASSWORD = "read: %/@ 'ä'"
LEDGER = {"run", "run_table", "deletion", "orphan"}
RELATIONS = """
    SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE relkind IN ('r', 'v', 'm', 'p', 'f') AND nspname !~ '^(pg_|information_schema)' ORDER BY 1, 2"""
SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences ORDER BY 1"""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1"
# Each way to change a relation, or what is in it.
CHANGES = (
    "INSERT INTO {} DEFAULT VALUES",
    "DELETE FROM {}",
    "UPDATE {0} SET {1} = DEFAULT",
    "TRUNCATE {}",
    "DROP TABLE {}",
    "ALTER TABLE {} RENAME TO taken",
    "COMMENT ON TABLE {} IS 'taken'",
    "CREATE TRIGGER taken BEFORE INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
)
# Postgres says first that a view takes no rows, or is not a table.
DENIED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.WrongObjectTypeError,
)
_numbers = count(1)


@pytest.fixture(scope="module")
async def company(postgres: ReachablePostgres) -> Company:
    return await (await Companies.of(postgres, scale=0.01)).make()


@pytest.fixture(scope="module")
async def pipeline(emulator: Emulator, company: Company) -> AsyncIterator[Pipeline]:
    """A warehouse that a loader with no other right has made, with versions and a deletion."""
    plane = emulator.apply(data_plane_template(), "test-analyst")
    async with Pipeline(MODEL, plane, company.source, company.warehouse) as opened:
        await opened.tick()
        await execute(
            company.source_owner,
            "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id % 2 = 0",
            "DELETE FROM payment WHERE payment_id = 3",
        )
        await opened.tick("sweep")
        yield opened


@pytest.fixture
def totesys(pipeline: Pipeline, company: Company, tmp_path: Path) -> Iterator[Command]:
    with Command.that_leaves_nothing(tmp_path) as command:
        command.settings |= {
            "TOTESYS_WAREHOUSE_DSN": company.warehouse_owner,
            "TOTESYS_ANALYST_PASSWORD": PASSWORD,
        }
        yield command


@pytest.fixture
async def name(postgres: ReachablePostgres, company: Company) -> AsyncIterator[str]:
    """The name of a role that does not exist yet, and does not after the test."""
    role = f"Analyst {next(_numbers)}"
    yield role
    for dsn in (company.warehouse_owner, postgres.dsn()):
        if await rows(dsn, "SELECT FROM pg_roles WHERE rolname = $1", role):
            await execute(dsn, f"DROP OWNED BY {ident(role)}")
    await execute(postgres.dsn(), f"DROP ROLE IF EXISTS {ident(role)}")


@pytest.fixture
def reader(totesys: Command, company: Company, name: str) -> str:
    """The DSN of a new reader."""
    made = totesys("local", "reader", name)
    assert made.code == 0, made.err
    assert f"The role {name} was created. It reads sales, purchases, payments and the ledger" in made.words
    assert PASSWORD not in made.words
    return as_role(company.warehouse_owner, name.replace(" ", "%20"), PASSWORD)


def readable(model: Model) -> set[tuple[str, str]]:
    stars = {(star, table.name) for star, tables in model.stars.items() for table in tables}
    return {*stars, *((fact.star, fact.current) for fact in model.facts), *(("etl", name) for name in LEDGER)}


async def allowed(dsn: str, statement: str) -> bool:
    """Whether the statement is allowed, in a transaction that may write and is rolled back."""
    async with writable(dsn) as connection:
        return await is_allowed(connection, statement)


def writable(dsn: str) -> AbstractAsyncContextManager[Connection]:
    """A connection whose transactions are not read-only, so that only rights can stop a change."""
    return connect("The warehouse", dsn, default_transaction_read_only="off")


async def is_allowed(connection: Connection, statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except DENIED:
        return False
    finally:
        await transaction.rollback()
    return True


async def test_a_reader_reads_the_stars_and_the_ledger_and_no_other_relation(
    reader: str, company: Company, pipeline: Pipeline
) -> None:
    every = {tuple(row) for row in await rows(company.warehouse_owner, RELATIONS)}
    assert readable(MODEL) < every
    read = {one for one in sorted(every) if await allowed(reader, f"SELECT * FROM {qualified(*one)} LIMIT 1")}
    assert read == readable(MODEL)


async def test_a_reader_changes_nothing_of_any_relation(reader: str, company: Company, pipeline: Pipeline) -> None:
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass ORDER BY attnum DESC"
    async with connect("The warehouse", company.warehouse_owner) as owner, writable(reader) as connection:
        for schema, relation in await owner.fetch(RELATIONS):
            target = qualified(schema, relation)
            column = await owner.fetchval(columns, target)
            for change in CHANGES:
                statement = change.format(target, ident(column))
                assert not await is_allowed(connection, statement), statement


async def test_a_reader_creates_nothing_and_uses_no_sequence(reader: str, company: Company, pipeline: Pipeline) -> None:
    for (schema,) in await rows(company.warehouse_owner, SCHEMAS):
        assert not await allowed(reader, f"CREATE TABLE {ident(schema)}.taken (id int)"), schema
        assert not await allowed(reader, f"CREATE FUNCTION {ident(schema)}.f() RETURNS int RETURN 1"), schema
    for (sequence,) in await rows(company.warehouse_owner, SEQUENCES):
        assert not await allowed(reader, f"SELECT nextval('{sequence}')"), sequence
    for statement in ("CREATE SCHEMA taken", "CREATE ROLE taken", "COPY sales.dim_date TO '/tmp/taken'"):
        assert not await allowed(reader, statement), statement
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await _executed(reader, "CREATE TEMPORARY TABLE taken (id int)")


async def _executed(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("fact", MODEL.facts, ids=lambda fact: str(fact.name))
async def test_as_of_gives_a_reader_what_it_gives_the_owner(
    fact: Fact, reader: str, company: Company, pipeline: Pipeline
) -> None:
    ((first, last),) = await rows(reader, "SELECT min(snapshot_time), max(snapshot_time) FROM etl.run")
    for moment in (first, last):
        query = f"SELECT * FROM {fact.star}.{fact.as_of}($1) ORDER BY 1"
        assert await rows(reader, query, moment) == await rows(company.warehouse_owner, query, moment) != []
    assert not await allowed(reader, f"SELECT * FROM warehouse.{fact.as_of}(now())")


async def test_a_reader_can_run_every_query_of_the_pages_for_analysts(reader: str) -> None:
    queries = re.findall(r"```sql\n(.*?)```", PAGE.read_text() + to_markdown(MODEL), re.DOTALL)
    inline = re.findall(r"`(SELECT [^`]+)`", PAGE.read_text())
    assert len(queries) > 8
    assert inline
    for query in (*queries, *inline):
        await rows(reader, query)


async def test_a_reader_can_make_the_report(reader: str, totesys: Command, tmp_path: Path) -> None:
    made = totesys("report", "--warehouse", reader, "--output", str(tmp_path / "report.html"))
    assert made.code == 0, made.err


async def test_a_second_call_gives_back_what_is_lost_and_takes_what_is_too_much(
    reader: str, name: str, totesys: Command, company: Company
) -> None:
    role = ident(name)
    fact = MODEL.facts[0]
    await execute(
        company.warehouse_owner,
        f"GRANT INSERT, DELETE ON ALL TABLES IN SCHEMA warehouse, etl TO {role}",
        f"GRANT SELECT ON warehouse.dim_date TO {role}",
        f"GRANT UPDATE ({fact.key}) ON warehouse.{fact.name} TO {role}",
        f"GRANT CREATE, USAGE ON SCHEMA warehouse TO {role}",
        f"REVOKE ALL ON {fact.star}.{fact.current} FROM {role}",
        f"REVOKE USAGE ON SCHEMA {fact.star} FROM {role}",
    )
    assert await allowed(reader, "DELETE FROM etl.run")
    again = totesys("local", "reader", name)
    assert again.code == 0, again.err
    assert "has its rights again" in again.words
    assert "Its password is unchanged" in again.words
    assert "warning" not in again.words
    every = [tuple(row) for row in await rows(company.warehouse_owner, RELATIONS)]
    assert {one for one in every if await allowed(reader, f"SELECT * FROM {qualified(*one)}")} == readable(MODEL)
    assert not await allowed(reader, "DELETE FROM etl.run")
    assert not await allowed(reader, f"UPDATE warehouse.{fact.name} SET {fact.key} = 1")


async def test_rights_that_public_has_are_named(name: str, totesys: Command, company: Company) -> None:
    await execute(company.warehouse_owner, "GRANT INSERT ON payments.dim_date TO PUBLIC")
    try:
        made = totesys("local", "reader", name)
        assert made.code == 0, made.err
        assert f"warning: {name} also has INSERT on table" in made.words
        assert 'REVOKE INSERT ON TABLE "payments"."dim_date" FROM PUBLIC' in made.words
        assert '"privilege": "INSERT"' in totesys("local", "reader", name, "--json").words
    finally:
        await execute(company.warehouse_owner, "REVOKE INSERT ON payments.dim_date FROM PUBLIC")


async def test_the_password_comes_from_a_file_the_environment_or_a_prompt(
    name: str, totesys: Command, company: Company, tmp_path: Path
) -> None:
    def dsn(password: str) -> str:
        return as_role(company.warehouse_owner, name.replace(" ", "%20"), password)

    del totesys.settings["TOTESYS_ANALYST_PASSWORD"]
    refused = totesys("local", "reader", name)
    assert refused.code == 2
    assert "Set TOTESYS_ANALYST_PASSWORD, pass --password-file" in refused.words
    assert not await rows(company.warehouse_owner, "SELECT FROM pg_roles WHERE rolname = $1", name)
    file = tmp_path / "password"
    file.write_text("of the file\n")
    assert totesys("local", "reader", name, "--password-file", str(file)).code == 0
    assert await rows(dsn("of the file"), "SELECT 1")
    totesys.settings["TOTESYS_ANALYST_PASSWORD"] = "another"
    assert totesys("local", "reader", name).code == 0
    assert await rows(dsn("of the file"), "SELECT 1")
    assert totesys("local", "reader", name, "--reset-password").code == 0
    assert await rows(dsn("another"), "SELECT 1")
    assert "--password " not in totesys("local", "reader", "--help").words


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "nul\0", "\x1b[31m"])
def test_a_password_file_without_one_line_of_text_is_refused(
    text: str, name: str, totesys: Command, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(text)
    refused = totesys("local", "reader", name, "--password-file", str(file))
    assert refused.code == 2
    assert "has no password of one line" in refused.words
    absent = totesys("local", "reader", name, "--password-file", str(tmp_path / "absent"))
    assert absent.code == 2
    assert "cannot be read" in absent.words


@pytest.mark.parametrize("wrong", ["", " ", "pg_reader", "public", "none", "n" * 64, "ä" * 32, "two\nlines"])
def test_a_name_that_no_role_can_have_is_refused(wrong: str, totesys: Command) -> None:
    refused = totesys("local", "reader", wrong)
    assert refused.code == 2
    assert "is not a valid name of a role" in refused.words
    assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("power", "reason"),
    [
        ("SUPERUSER", "it is a superuser"),
        ("CREATEROLE", "it may create roles"),
        ("BYPASSRLS", "bypass row-level security"),
        ("IN ROLE pg_write_all_data", "it is a member of pg_write_all_data"),
    ],
)
async def test_a_role_that_can_do_more_than_read_is_refused(
    power: str, reason: str, name: str, totesys: Command, company: Company
) -> None:
    await execute(company.warehouse_owner, f"CREATE ROLE {ident(name)} {power}")
    refused = totesys("local", "reader", name)
    assert refused.code == 2
    assert reason in refused.words
    assert not await rows(
        company.warehouse_owner, "SELECT WHERE has_table_privilege($1, 'etl.run', 'SELECT') AND $2", name, not power
    )


async def test_the_role_that_loads_is_refused(totesys: Command, company: Company, pipeline: Pipeline) -> None:
    ((loader,),) = await rows(company.warehouse, "SELECT current_user::text")
    refused = totesys("local", "reader", loader)
    assert refused.code == 2
    assert "it owns objects" in refused.words


async def test_the_owner_of_the_tables_may_make_a_reader_if_it_may_create_roles(
    name: str, totesys: Command, company: Company
) -> None:
    totesys.settings["TOTESYS_WAREHOUSE_DSN"] = company.warehouse
    refused = totesys("local", "reader", name)
    assert (refused.code, "permission denied to create role" in refused.words) == (2, True), refused.words
    ((loader,),) = await rows(company.warehouse, "SELECT current_user::text")
    await execute(company.warehouse_owner, f"ALTER ROLE {loader} CREATEROLE")
    try:
        made = totesys("local", "reader", name)
        assert made.code == 0, made.err
    finally:
        await execute(company.warehouse_owner, f"ALTER ROLE {loader} NOCREATEROLE")
    assert await rows(as_role(company.warehouse, name.replace(" ", "%20"), PASSWORD), "SELECT FROM sales.dim_date")


async def test_a_role_that_may_create_roles_but_owns_no_table_leaves_nothing(
    name: str, totesys: Command, company: Company
) -> None:
    await execute(company.warehouse_owner, "CREATE ROLE personnel LOGIN CREATEROLE PASSWORD 'personnel'")
    try:
        totesys.settings["TOTESYS_WAREHOUSE_DSN"] = as_role(company.warehouse_owner, "personnel", "personnel")
        refused = totesys("local", "reader", name)
        assert refused.code == 2
        assert "permission denied" in refused.words
        assert not await rows(company.warehouse_owner, "SELECT FROM pg_roles WHERE rolname = $1", name)
    finally:
        await execute(company.warehouse_owner, "DROP ROLE personnel")


async def test_a_warehouse_that_nothing_was_loaded_into_is_refused(
    name: str, totesys: Command, database: Callable[[], str]
) -> None:
    totesys.settings["TOTESYS_WAREHOUSE_DSN"] = database()
    refused = totesys("local", "reader", name)
    assert refused.code == 2
    assert "Load a run first" in refused.words


async def test_names_of_another_model_and_schema_are_quoted(
    name: str, totesys: Command, database: Callable[[], str]
) -> None:
    dsn, schema = database(), 'The "ware" house'
    async with connect("The warehouse", dsn) as connection, connection.transaction():
        await prepare(connection, shops.MODEL, schema, dsn)
    totesys.settings |= {"TOTESYS_WAREHOUSE_DSN": dsn, "TOTESYS_WAREHOUSE_SCHEMA": schema}
    made = totesys("local", "reader", name, "--model", "tests.models.shops")
    assert made.code == 0, made.err
    assert "warning" not in made.words
    reader = as_role(dsn, name.replace(" ", "%20"), PASSWORD)
    every = [tuple(row) for row in await rows(dsn, RELATIONS)]
    assert {one for one in every if await allowed(reader, f"SELECT * FROM {qualified(*one)}")} == readable(shops.MODEL)
    for fact in shops.MODEL.facts:
        assert await rows(reader, f"SELECT * FROM {qualified(fact.star, fact.as_of)}(now())") == []
    await execute(dsn, f"DROP OWNED BY {ident(name)}")


def test_the_prompt_hides_the_password(name: str, totesys: Command) -> None:
    """At a terminal, the command asks twice and shows neither answer."""
    del totesys.settings["TOTESYS_ANALYST_PASSWORD"]
    ours, theirs = pty.openpty()
    try:
        with totesys.started("local", "reader", name, stdin=theirs) as process:
            assert process.stderr is not None
            for asked in ("Password for", "Repeat for confirmation"):
                shown = ""
                while not shown.endswith(": "):
                    shown += process.stderr.read(1)
                assert asked in shown
                os.write(ours, b"typed\n")
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "typed" not in out + err
    finally:
        os.close(ours)
        os.close(theirs)

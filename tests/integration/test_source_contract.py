"""What ingest asks of a source: rights to read, and the declared tables; and what it does where they are missing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import asyncpg
import pytest
from structlog.testing import capture_logs

from tests.models.library import BOOK, LOAN, MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library, rows, until_there_is, verified
from totesys.connection import connect, redacted
from totesys.errors import AccessDenied, SchemaDrift, TerminalError
from totesys.log_events import LogEvent
from totesys.triggers import ExtractTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.preflight import check_source
from totesys_ingest.source_connection import open_source

pytestmark = pytest.mark.postgres

LOANS = "SELECT loan_id, count(*) FROM warehouse.fact_loan GROUP BY 1 ORDER BY 1"


@dataclass(frozen=True)
class Visited:
    """A pipeline whose role may read and nothing else, and the DSN of the source's owner."""

    pipeline: Pipeline
    owner: str

    async def verified(self) -> bool:
        return await verified(self.pipeline.source_dsn, self.pipeline.warehouse_dsn, MODEL)


@pytest.fixture
async def visited(
    visitor: str, postgres: ReachablePostgres, database: Callable[[], str], data_plane: LocalDataPlane
) -> AsyncIterator[Visited]:
    owner = await make_library(database())
    await execute(
        owner,
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO visitor",
        "GRANT SELECT ON book, loan TO visitor",
    )
    dsn = postgres.dsn(owner.rpartition("/")[2], user=visitor, password=visitor)
    async with Pipeline(MODEL, data_plane, dsn, database()) as pipeline:
        yield Visited(pipeline, owner)


@dataclass(frozen=True)
class BreakingChange:
    """What is done to the source, what ingest then says, and what fixes it; by a new column, or without."""

    break_it: tuple[str, ...]
    error: type[TerminalError]
    differences: tuple[str, ...]
    fix_it: tuple[str, ...]
    new_column: bool = False


BREAKING_CHANGES = {
    "column dropped": BreakingChange(
        ("ALTER TABLE loan DROP reader",),
        SchemaDrift,
        ("column loan.reader is missing",),
        ("ALTER TABLE loan ADD reader text NOT NULL DEFAULT 'Cid'",),
        new_column=True,
    ),
    "column renamed": BreakingChange(
        ("ALTER TABLE loan RENAME reader TO borrower",),
        SchemaDrift,
        ("column loan.reader is missing (borrower is not declared: renamed?)",),
        ("ALTER TABLE loan RENAME borrower TO reader",),
    ),
    "column retyped": BreakingChange(
        ("ALTER TABLE loan ALTER fee TYPE numeric(9,3)",),
        SchemaDrift,
        ("column loan.fee is numeric(9,3), declared as numeric(8,2)",),
        ("ALTER TABLE loan ALTER fee TYPE numeric(8,2)",),
    ),
    "key made nullable": BreakingChange(
        ("ALTER TABLE loan DROP CONSTRAINT loan_pkey, ALTER loan_id DROP NOT NULL",),
        SchemaDrift,
        (
            "column loan.loan_id is nullable, declared as the key",
            "key loan.loan_id has no unique index of its own (nothing is unique)",
        ),
        ("ALTER TABLE loan ADD PRIMARY KEY (loan_id)",),
    ),
    "primary key lost": BreakingChange(
        ("ALTER TABLE loan DROP CONSTRAINT loan_pkey",),
        SchemaDrift,
        ("key loan.loan_id has no unique index of its own (nothing is unique)",),
        ("ALTER TABLE loan ADD PRIMARY KEY (loan_id)",),
    ),
    "another primary key": BreakingChange(
        ("ALTER TABLE loan DROP CONSTRAINT loan_pkey, ADD UNIQUE (lent_at, loan_id), ADD PRIMARY KEY (reader)",),
        SchemaDrift,
        ("key loan.loan_id has no unique index of its own (reader, lent_at + loan_id is unique)",),
        ("ALTER TABLE loan DROP CONSTRAINT loan_pkey, ADD PRIMARY KEY (loan_id)",),
    ),
    "unique index on some rows, or on an expression": BreakingChange(
        (
            "ALTER TABLE loan DROP CONSTRAINT loan_pkey",
            "CREATE UNIQUE INDEX ON loan (loan_id) WHERE fee > 0",
            "CREATE UNIQUE INDEX ON loan ((loan_id + 1))",
            "CREATE INDEX ON loan (loan_id)",
        ),
        SchemaDrift,
        ("key loan.loan_id has no unique index of its own (nothing is unique)",),
        ("CREATE UNIQUE INDEX ON loan (loan_id)",),
    ),
    "child table": BreakingChange(
        ("CREATE TABLE old_loan () INHERITS (loan)", "INSERT INTO old_loan SELECT * FROM loan"),
        SchemaDrift,
        ("loan has child tables (old_loan), whose rows no unique index on loan_id covers",),
        ("ALTER TABLE old_loan NO INHERIT loan",),
    ),
    "child of a child, in another schema": BreakingChange(
        (
            "CREATE SCHEMA archive",
            "CREATE TABLE old_loan () INHERITS (loan)",
            "CREATE TABLE archive.loan () INHERITS (old_loan)",
        ),
        SchemaDrift,
        ("loan has child tables (archive.loan, old_loan), whose rows no unique index on loan_id covers",),
        ("ALTER TABLE old_loan NO INHERIT loan",),
    ),
    "label renamed": BreakingChange(
        ("""ALTER TYPE "Genre" RENAME VALUE 'NOVEL' TO 'FICTION'""",),
        SchemaDrift,
        ('label NOVEL of "Genre" (book.genre) is missing (FICTION is not declared: renamed?)',),
        ("""ALTER TYPE "Genre" RENAME VALUE 'FICTION' TO 'NOVEL'""",),
    ),
    "table missing": BreakingChange(
        ("ALTER TABLE book RENAME TO books",),
        SchemaDrift,
        ("table book is missing (books is not declared: renamed?)",),
        ("ALTER TABLE books RENAME TO book",),
    ),
    "view in place of a table": BreakingChange(
        (
            "ALTER TABLE book RENAME TO stock",
            "CREATE VIEW book AS SELECT * FROM stock",
            "GRANT SELECT ON book TO visitor",
        ),
        SchemaDrift,
        ("book is a view, declared as a table",),
        ("DROP VIEW book", "ALTER TABLE stock RENAME TO book"),
    ),
    "materialized view in place of a table": BreakingChange(
        ("ALTER TABLE book RENAME TO stock", "CREATE MATERIALIZED VIEW book AS SELECT * FROM stock"),
        SchemaDrift,
        ("book is a materialized view, declared as a table", "no SELECT on book"),
        ("DROP MATERIALIZED VIEW book", "ALTER TABLE stock RENAME TO book"),
    ),
    "SELECT on a table revoked": BreakingChange(
        ("REVOKE SELECT ON loan FROM visitor",),
        AccessDenied,
        ("no SELECT on loan",),
        ("GRANT SELECT ON loan TO visitor",),
    ),
    "SELECT on a column revoked": BreakingChange(
        (
            "REVOKE SELECT ON loan FROM visitor",
            "GRANT SELECT (loan_id, book_id, reader, lent_at, fee) ON loan TO visitor",
        ),
        AccessDenied,
        ("SELECT on columns of loan only, not on returned",),
        ("GRANT SELECT ON loan TO visitor",),
    ),
    "USAGE on the schema revoked": BreakingChange(
        ("REVOKE USAGE ON SCHEMA public FROM visitor",),
        AccessDenied,
        ("no USAGE on the schema",),
        ("GRANT USAGE ON SCHEMA public TO visitor",),
    ),
    "row-level security": BreakingChange(
        ("ALTER TABLE loan ENABLE ROW LEVEL SECURITY", "CREATE POLICY the_first ON loan USING (loan_id = 1)"),
        AccessDenied,
        ("row-level security hides rows of loan from a role without BYPASSRLS",),
        ("ALTER TABLE loan DISABLE ROW LEVEL SECURITY",),
    ),
    "several at once": BreakingChange(
        (
            "ALTER TABLE book RENAME TO books",
            "ALTER TABLE loan DROP returned",
            "ALTER TABLE loan ALTER fee TYPE real",
            "REVOKE SELECT ON loan FROM visitor",
        ),
        SchemaDrift,
        (
            "table book is missing (books is not declared: renamed?)",
            "column loan.fee is real, declared as numeric(8,2)",
            "column loan.returned is missing",
            "no SELECT on loan",
        ),
        (
            "ALTER TABLE books RENAME TO book",
            "ALTER TABLE loan ADD returned boolean",
            "ALTER TABLE loan ALTER fee TYPE numeric(8,2)",
            "GRANT SELECT ON loan TO visitor",
        ),
        new_column=True,
    ),
}


@pytest.mark.parametrize("case", BREAKING_CHANGES)
async def test_a_breaking_change_stops_the_run_before_it_starts_until_it_is_fixed(case: str, visited: Visited) -> None:
    change, pipeline = BREAKING_CHANGES[case], visited.pipeline
    await pipeline.tick()
    last = await pipeline.lake.newest_manifest()
    assert last is not None
    await execute(visited.owner, *change.break_it, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
    for wakeup in (ExtractTrigger(), ExtractTrigger(mode="full")):
        with capture_logs() as logs, pytest.raises(change.error) as raised:
            await pipeline.ingest.work(wakeup)
        assert f": {'; '.join(change.differences)}. Nothing was read. " in str(raised.value)
        assert redacted(pipeline.source_dsn) in str(raised.value)
        alerts = [log for log in logs if log["log_level"] == "error"]
        assert [log["BreakingChanges"] for log in alerts] == [len(change.differences)]
    with pytest.raises(change.error) as told:
        await check_source(MODEL, pipeline.source_dsn, "public")
    assert str(told.value) == str(raised.value)
    assert await pipeline.lake.newest_manifest() == last
    await execute(visited.owner, *change.fix_it)
    with capture_logs() as logs:
        await pipeline.tick()
    assert [log["BreakingChanges"] for log in logs if "BreakingChanges" in log] == [0]
    fixed = await pipeline.lake.newest_manifest()
    assert fixed is not None
    assert (fixed.run, fixed.xmin_before) == (last.run + 1, None if change.new_column else last.xmin_after)
    assert await visited.verified()
    assert (await rows(pipeline.warehouse_dsn, LOANS))[0] == (1, 2)


@dataclass(frozen=True)
class Added:
    """What is done to the source, what ingest warns of, and what the warehouse then has."""

    change_it: tuple[str, ...]
    difference: str
    next: str
    arrived: str
    quarantined: int = 0


NON_BREAKING_CHANGES = {
    "column added": Added(
        ("ALTER TABLE loan ADD due date", "UPDATE loan SET due = now(), fee = 9"),
        "column loan.due is not declared",
        "ingest ignores it",
        "SELECT FROM warehouse.fact_loan_current WHERE fee = 9",
    ),
    "table not declared": Added(
        ("CREATE TABLE _prisma_migrations (id text)", "UPDATE loan SET fee = 9"),
        "table _prisma_migrations is not declared",
        "ingest ignores it",
        "SELECT FROM warehouse.fact_loan_current WHERE fee = 9",
    ),
    "label added": Added(
        ("""ALTER TYPE "Genre" ADD VALUE 'CRIME'""", "INSERT INTO book VALUES (4, 'Ripley', 'A', 'CRIME')"),
        'label CRIME of "Genre" (book.genre) is not declared',
        "it is read as text",
        "SELECT FROM warehouse.dim_book WHERE genre = 'CRIME'",
    ),
    "column made nullable": Added(
        (
            "ALTER TABLE loan ALTER reader DROP NOT NULL",
            "INSERT INTO loan VALUES (3, 1, NULL, now(), 1), (4, 1, 'Dee', now(), 1)",
        ),
        "column loan.reader is nullable, declared as NOT NULL",
        "rows without a value that the warehouse requires are quarantined",
        "SELECT FROM warehouse.fact_loan WHERE loan_id = 4",
        quarantined=1,
    ),
    "text of a dimension made nullable": Added(
        ("ALTER TABLE book ALTER title DROP NOT NULL", "INSERT INTO book VALUES (4, NULL, 'A', 'NOVEL')"),
        "column book.title is nullable, declared as NOT NULL",
        "rows without a value that the warehouse requires are quarantined",
        "SELECT FROM warehouse.dim_book WHERE title = 'Unknown'",
    ),
    "enum retyped to varchar": Added(
        (
            "ALTER TABLE book ALTER genre TYPE varchar(20)",
            "INSERT INTO book VALUES (4, 'Ripley', 'A', 'CRIME')",
        ),
        'column book.genre is character varying(20), declared as "Genre"',
        "its values are read as the declared type",
        "SELECT FROM warehouse.dim_book WHERE genre = 'CRIME'",
    ),
    "column retyped compatibly": Added(
        ("ALTER TABLE loan ALTER fee TYPE numeric(5,1)", "INSERT INTO loan VALUES (3, 1, 'Cid', now(), 7.5)"),
        "column loan.fee is numeric(5,1), declared as numeric(8,2)",
        "its values are read as the declared type",
        "SELECT FROM warehouse.fact_loan WHERE fee = 7.50",
    ),
}


@pytest.mark.parametrize("case", NON_BREAKING_CHANGES)
async def test_a_non_breaking_change_gives_one_warning_and_its_rows_arrive(case: str, library: Pipeline) -> None:
    added = NON_BREAKING_CHANGES[case]
    await library.tick()
    await execute(library.source_dsn, *added.change_it)
    await check_source(MODEL, library.source_dsn, "public")
    with capture_logs() as logs:
        await library.tick()
        await library.tick()
    warnings = [log for log in logs if log["event"] == LogEvent.SCHEMA_DRIFT_FOUND]
    assert [(log["log_level"], log["differences"], log["next"]) for log in warnings] == [
        ("warning", [added.difference], added.next)
    ]
    assert await library.rows(added.arrived)
    assert len(await library.quarantine("fact_loan")) == added.quarantined


GUARDS = {
    "unique constraint": ("ALTER TABLE loan DROP CONSTRAINT loan_pkey", "ALTER TABLE loan ADD UNIQUE (loan_id)"),
    "unique constraint that is checked at commit": (
        "ALTER TABLE loan DROP CONSTRAINT loan_pkey",
        "ALTER TABLE loan ADD UNIQUE (loan_id) DEFERRABLE INITIALLY DEFERRED",
    ),
    "unique index with another column beside the key": (
        "ALTER TABLE loan DROP CONSTRAINT loan_pkey",
        "CREATE UNIQUE INDEX ON loan (loan_id) INCLUDE (reader)",
    ),
    "table that is itself a child": ("CREATE TABLE paper (loan_id bigint NOT NULL)", "ALTER TABLE loan INHERIT paper"),
    "table that is partitioned by its key": (
        "ALTER TABLE loan RENAME TO loan_first",
        "CREATE TABLE loan (LIKE loan_first, PRIMARY KEY (loan_id)) PARTITION BY RANGE (loan_id)",
        "ALTER TABLE loan ATTACH PARTITION loan_first FOR VALUES FROM (1) TO (1000)",
    ),
}


@pytest.mark.parametrize("case", GUARDS)
async def test_any_unique_index_on_exactly_the_key_is_enough(case: str, library: Pipeline) -> None:
    await execute(library.source_dsn, *GUARDS[case])
    await library.tick()
    await execute(library.source_dsn, "UPDATE loan SET fee = 8 WHERE loan_id = 1")
    await library.tick()
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)
    assert await rows(library.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]


async def test_an_index_that_was_never_completed_guards_nothing(library: Pipeline) -> None:
    await execute(library.source_dsn, "ALTER TABLE loan DROP CONSTRAINT loan_pkey", "INSERT INTO loan TABLE loan")
    async with connect("The source", library.source_dsn) as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY ON loan (loan_id)")
    with pytest.raises(SchemaDrift, match=r"key loan\.loan_id has no unique index of its own \(nothing is unique\)"):
        await library.tick()


PARTITIONED = (
    "ALTER TABLE loan RENAME TO loan_first",
    "CREATE TABLE loan (LIKE loan_first, PRIMARY KEY (loan_id, lent_at)) PARTITION BY RANGE (lent_at)",
    "CREATE TABLE loan_2026 PARTITION OF loan FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "CREATE TABLE loan_2027 PARTITION OF loan FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
    "INSERT INTO loan TABLE loan_first",
)
UNENFORCED = replace(MODEL, sources=(replace(LOAN, unenforced_key=True), BOOK))


async def test_a_key_that_is_unique_only_with_the_partitions_column_is_refused(library: Pipeline) -> None:
    await execute(library.source_dsn, *PARTITIONED)
    with pytest.raises(SchemaDrift) as raised:
        await library.tick()
    assert "key loan.loan_id has no unique index of its own (loan_id + lent_at is unique). Nothing" in str(raised.value)


@pytest.mark.parametrize("children", [False, True], ids=["partitions", "children"])
async def test_a_key_that_is_declared_as_unenforced_is_checked_in_each_snapshot(
    database: Callable[[], str], data_plane: LocalDataPlane, children: bool
) -> None:
    source = await make_library(database())
    await execute(
        source, *(("CREATE TABLE loan_2027 (PRIMARY KEY (loan_id)) INHERITS (loan)",) if children else PARTITIONED)
    )
    async with Pipeline(UNENFORCED, data_plane, source, database()) as pipeline:
        await pipeline.tick()
        await execute(source, "INSERT INTO loan_2027 VALUES (3, 1, 'Cid', '2027-01-05', 1)")
        await pipeline.tick()
        assert await verified(source, pipeline.warehouse_dsn, UNENFORCED)
        before = await pipeline.lake.newest_manifest()
        again = "INSERT INTO loan_2027 SELECT loan_id, book_id, 'Dee', '2027-02-05', 2 FROM loan WHERE loan_id < 3"
        await execute(source, again)
        said = "key loan.loan_id is not unique: 1 (2 rows), 2 (2 rows)"
        for mode in ("changes", "full"):
            with capture_logs() as logs, pytest.raises(SchemaDrift) as raised:
                await pipeline.ingest.work(ExtractTrigger(mode=mode))
            assert f": {said}. Nothing was read." in str(raised.value)
            assert [log["BreakingChanges"] for log in logs if log["log_level"] == "error"] == [1]
        with pytest.raises(SchemaDrift) as told:
            await check_source(UNENFORCED, source, "public")
        assert str(told.value) == str(raised.value)
        assert await pipeline.lake.newest_manifest() == before
        await execute(source, "DELETE FROM loan_2027 WHERE reader = 'Dee'")
        await pipeline.tick("sweep")
        assert await verified(source, pipeline.warehouse_dsn, UNENFORCED)
        assert await rows(pipeline.warehouse_dsn, "SELECT loan_id FROM warehouse.fact_loan_current ORDER BY 1") == [
            (1,),
            (2,),
            (3,),
        ]


async def test_rights_to_read_are_enough(visited: Visited) -> None:
    await visited.pipeline.tick()
    await execute(visited.owner, "UPDATE loan SET fee = 4")
    await visited.pipeline.tick()
    assert await visited.verified()


async def test_a_table_that_changes_while_it_is_waited_for_is_noticed(library: Pipeline) -> None:
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'loan'::regclass"
    async with connect("The source", library.source_dsn) as other:
        async with other.transaction():
            await other.execute("ALTER TABLE loan RENAME reader TO borrower")
            tick = asyncio.create_task(library.tick())
            await until_there_is(other, waiting)
        with pytest.raises(
            SchemaDrift, match=r"column loan\.reader is missing \(borrower is not declared: renamed\?\)"
        ):
            await tick


async def test_no_table_changes_between_the_check_and_the_copy(library: Pipeline) -> None:
    async with (
        connect("The source", library.source_dsn, lock_timeout="100ms") as other,
        open_source(library.source_dsn, "public") as source,
    ):
        await source.begin(MODEL.sources)
        for change in ("RENAME reader TO borrower", "DROP reader", "ENABLE ROW LEVEL SECURITY"):
            with pytest.raises(asyncpg.LockNotAvailableError):
                await other.execute(f"ALTER TABLE loan {change}")


async def test_what_row_level_security_hides_is_an_error_and_not_half_a_table(visited: Visited) -> None:
    await execute(
        visited.owner,
        "ALTER TABLE loan ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY the_first ON loan USING (loan_id = 1)",
    )
    with pytest.raises(AccessDenied, match="row-level security policy"):
        async with open_source(visited.pipeline.source_dsn, "public") as source:
            await source.connection.fetch("SELECT * FROM loan")


async def test_an_enum_may_live_in_a_schema_that_this_role_may_not_use(visited: Visited) -> None:
    await execute(
        visited.owner,
        "CREATE SCHEMA types",
        'ALTER TYPE "Genre" SET SCHEMA types',
        "INSERT INTO book VALUES (4, 'Emma', 'A', 'NOVEL')",
    )
    with capture_logs() as logs:
        await visited.pipeline.tick()
    assert not [log for log in logs if log["log_level"] in ("warning", "error")]
    await execute(visited.owner, "UPDATE book SET genre = 'POETRY' WHERE book_id = 4")
    await visited.pipeline.tick()
    assert await visited.verified()
    await check_source(MODEL, visited.pipeline.source_dsn, "public")


async def test_a_source_in_a_schema_of_its_own_is_read_there(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source, warehouse = await make_library(database(), "shelves"), database()
    async with Pipeline(MODEL, data_plane, source, warehouse, source_schema="shelves") as pipeline:
        await pipeline.tick()
        await execute(source, "UPDATE shelves.loan SET fee = 8 WHERE loan_id = 1")
        await pipeline.tick()
        assert await rows(pipeline.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]

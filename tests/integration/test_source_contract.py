"""What ingest asks of a source: rights to read, and the declared columns; and what it says where they are missing."""

from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library, rows, verified
from totesys.errors import AccessDenied, SchemaDrift
from totesys.events import ExtractWakeup
from totesys_cli.local.data_plane import DataPlane
from totesys_cli.local.reachable import ReachablePostgres

LOANS = "SELECT loan_id, count(*) FROM warehouse.fact_loan GROUP BY 1 ORDER BY 1"


@pytest.fixture
async def as_visitor(
    visitor: str, postgres: ReachablePostgres, database: Callable[[], str], data_plane: DataPlane
) -> AsyncIterator[tuple[Pipeline, str]]:
    """The pipeline reads the source as that role; and the DSN of the source's owner."""
    source = await make_library(database())
    await execute(source, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    dsn = postgres.dsn(source.rpartition("/")[2], user=visitor, password=visitor)
    async with Pipeline(MODEL, data_plane, dsn, database()) as pipeline:
        yield pipeline, source


async def test_rights_to_read_are_enough(as_visitor: tuple[Pipeline, str]) -> None:
    pipeline, owner = as_visitor
    await execute(owner, "GRANT USAGE ON SCHEMA public TO visitor", "GRANT SELECT ON book, loan TO visitor")
    await pipeline.tick()
    await execute(owner, "UPDATE loan SET fee = 4")
    await pipeline.tick()
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


async def test_a_table_that_may_not_be_read_is_named(as_visitor: tuple[Pipeline, str]) -> None:
    pipeline, owner = as_visitor
    with pytest.raises(AccessDenied, match="schema public"):
        await pipeline.tick()
    await execute(owner, "GRANT USAGE ON SCHEMA public TO visitor", "GRANT SELECT ON book TO visitor")
    with pytest.raises(AccessDenied, match=r"does not let this role read loan\. Grant SELECT"):
        await pipeline.tick()
    await execute(owner, "GRANT SELECT (loan_id, book_id, reader, lent_at, fee) ON loan TO visitor")
    with pytest.raises(AccessDenied, match=r"does not let this role read loan\. Grant SELECT"):
        await pipeline.tick()
    assert await pipeline.lake.newest_manifest() is None
    await execute(owner, "GRANT SELECT ON loan TO visitor")
    await pipeline.tick()
    assert await verified(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)


async def test_a_source_that_drifted_is_named_and_no_run_is_made_until_it_is_mended(library: Pipeline) -> None:
    await library.tick()
    last = await library.lake.newest_manifest()
    await execute(
        library.source_dsn,
        "UPDATE loan SET fee = 8 WHERE loan_id = 1",
        "ALTER TABLE book RENAME TO books",
        "ALTER TABLE loan RENAME reader TO borrower",
        "ALTER TABLE loan ALTER fee TYPE numeric(9,3)",
    )
    for wakeup in (ExtractWakeup(), ExtractWakeup(mode="full")):
        with pytest.raises(SchemaDrift) as raised:
            await library.ingest.work(wakeup)
        for difference in (
            "table book is missing",
            "column loan.reader is missing",
            "column loan.fee is numeric(9,3), declared as numeric(8,2)",
        ):
            assert difference in str(raised.value)
    assert await library.lake.newest_manifest() == last
    assert last is not None
    assert (await library.lake.claim_run_number()).last == last.run + 1
    await execute(
        library.source_dsn,
        "ALTER TABLE books RENAME TO book",
        "ALTER TABLE loan RENAME borrower TO reader",
        "ALTER TABLE loan ALTER fee TYPE numeric(8,2)",
    )
    await library.tick()
    mended = await library.lake.newest_manifest()
    assert mended is not None
    assert mended.xmin_before == last.xmin_after
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)
    assert await rows(library.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]


async def test_a_new_column_is_worth_one_warning(library: Pipeline) -> None:
    await execute(library.source_dsn, "ALTER TABLE loan ADD due date")
    with capture_logs() as logs:
        await library.tick()
        await execute(library.source_dsn, "UPDATE loan SET due = now()")
        await library.tick()
    assert [log["column"] for log in logs if log["log_level"] == "warning"] == ["loan.due"]
    assert await rows(library.warehouse_dsn, LOANS) == [(1, 1), (2, 1)]


async def test_a_source_in_a_schema_of_its_own_is_read_there(
    database: Callable[[], str], data_plane: DataPlane
) -> None:
    source, warehouse = await make_library(database(), "shelves"), database()
    async with Pipeline(MODEL, data_plane, source, warehouse, source_schema="shelves") as pipeline:
        await pipeline.tick()
        await execute(source, "UPDATE shelves.loan SET fee = 8 WHERE loan_id = 1")
        await pipeline.tick()
        assert await rows(pipeline.warehouse_dsn, LOANS) == [(1, 2), (2, 1)]

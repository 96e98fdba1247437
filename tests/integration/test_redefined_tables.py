"""What changes the values of rows without touching one of them arrives all the same, at the next tick."""

import pytest
from structlog.testing import capture_logs

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, rows, verified
from totesys.log_events import LogEvent

pytestmark = pytest.mark.postgres

# Each is done between two ticks, and leaves no row that a transaction since the first has written.
REDEFINED = {
    "column dropped and added with a default": (
        "ALTER TABLE loan DROP reader",
        "ALTER TABLE loan ADD reader text NOT NULL DEFAULT 'Cid'",
    ),
    "columns that took each other's names": (
        "ALTER TABLE book RENAME title TO was_title",
        "ALTER TABLE book RENAME shelf TO title",
        "ALTER TABLE book RENAME was_title TO shelf",
    ),
    "labels that took each other's names": (
        """ALTER TYPE "Genre" RENAME VALUE 'NOVEL' TO 'WAS_NOVEL'""",
        """ALTER TYPE "Genre" RENAME VALUE 'POETRY' TO 'NOVEL'""",
        """ALTER TYPE "Genre" RENAME VALUE 'WAS_NOVEL' TO 'POETRY'""",
    ),
    "another table under its name": ("ALTER TABLE loan RENAME TO old_loan", "ALTER TABLE new_loan RENAME TO loan"),
}


@pytest.fixture
async def settled(library: Pipeline) -> Pipeline:
    """The library, and beside it a table with other loans, all older than the warehouse."""
    await execute(
        library.source_dsn,
        "UPDATE book SET shelf = 'A'",
        "CREATE TABLE new_loan (LIKE loan INCLUDING ALL)",
        "INSERT INTO new_loan VALUES (11, 1, 'Eve', '2026-01-07 10:00', 2, false)",
    )
    await library.tick()
    return library


@pytest.mark.parametrize("case", REDEFINED)
async def test_other_values_in_rows_that_nobody_has_written_are_brought(case: str, settled: Pipeline) -> None:
    await execute(settled.source_dsn, *REDEFINED[case])
    with capture_logs() as logs:
        await settled.tick()
    (said,) = [log for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED]
    assert (said["log_level"], said["everything"]) == ("warning", True)
    assert said["reason"].endswith(" changed, so unwritten rows may show other values")
    assert await verified(settled.source_dsn, settled.warehouse_dsn, MODEL)
    with capture_logs() as logs:
        await settled.tick()
    assert [log["everything"] for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED] == [False]


async def test_rows_of_a_partition_that_was_a_table_of_its_own_are_brought(settled: Pipeline) -> None:
    await execute(
        settled.source_dsn,
        "ALTER TABLE loan RENAME TO first_loan",
        "CREATE TABLE loan (LIKE first_loan, PRIMARY KEY (loan_id)) PARTITION BY RANGE (loan_id)",
        "ALTER TABLE loan ATTACH PARTITION first_loan FOR VALUES FROM (1) TO (10)",
    )
    await settled.tick()
    await execute(settled.source_dsn, "ALTER TABLE loan ATTACH PARTITION new_loan FOR VALUES FROM (10) TO (20)")
    with capture_logs() as logs:
        await settled.tick()
    assert [log["everything"] for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED] == [True]
    assert await verified(settled.source_dsn, settled.warehouse_dsn, MODEL)
    assert await rows(settled.warehouse_dsn, "SELECT reader FROM warehouse.fact_loan_current WHERE loan_id = 11") == [
        ("Eve",)
    ]


async def test_what_shows_no_other_value_costs_no_full_extraction(settled: Pipeline) -> None:
    await execute(
        settled.source_dsn,
        "ALTER TABLE loan ADD due date DEFAULT now(), ALTER reader TYPE varchar",
        """ALTER TYPE "Genre" ADD VALUE 'CRIME'""",
        "CREATE INDEX ON loan (fee)",
        "VACUUM FULL book",
    )
    with capture_logs() as logs:
        await settled.tick()
    assert [log["everything"] for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED] == [False]


async def test_a_full_extraction_that_is_broken_off_is_begun_again(settled: Pipeline) -> None:
    await execute(settled.source_dsn, *REDEFINED["column dropped and added with a default"])
    last = await settled.lake.newest_manifest()
    assert last is not None
    async with settled.ingest._opened() as source:
        changes = await source.compare(settled.model.sources)
    run = (await settled.lake.claim_run_number()).last
    half = {"run": run, "extraction": run, "previous": last.run, "complete": False}
    mark = {"xmin_after": None, "high_water_mark": None}
    await settled.lake.commit(last.model_copy(update={**half, **mark, "definitions": dict(changes.definitions)}))
    await settled.tick()
    assert await verified(settled.source_dsn, settled.warehouse_dsn, MODEL)

"""What a model gains between two releases is filled by the next tick, with the rows that were there."""

from dataclasses import replace

import polars as pl
import pytest
from structlog.testing import capture_logs

from tests.models.library import BOOK, DIM_BOOK, FACT_LOAN, LOAN, MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, rows, verified
from totesys.errors import CorruptObject
from totesys.lake.keys import EMPTY, record_key
from totesys.log_events import LogEvent
from totesys.schema import Model
from totesys.table import Column, Dimension, Fact
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys.types import BOOLEAN, DATE, INTEGER, TEXT

pytestmark = pytest.mark.postgres


def build_dim_reader(loan: pl.LazyFrame) -> pl.LazyFrame:
    return loan.select("loan_id", "reader")


DIM_READER = Dimension(
    "dim_reader",
    key="loan_id",
    columns=(Column("loan_id", LOAN.column("loan_id").type), Column("reader", TEXT, description="Who reads")),
    sources=(LOAN.name,),
    build=build_dim_reader,
    reference_query="SELECT loan_id, reader FROM loan",
)


def build_fact_shelving(book: pl.LazyFrame) -> pl.LazyFrame:
    return book.select("book_id", "shelf")


FACT_SHELVING = Fact(
    "fact_shelving",
    star="keeping",
    record_id="shelving_record_id",
    key="book_id",
    columns=(Column("book_id", INTEGER, references="dim_book"), Column("shelf", TEXT, nullable=True)),
    sources=(BOOK.name,),
    build=build_fact_shelving,
    reference_query="SELECT book_id, shelf FROM book",
)


def build_dim_book(book: pl.LazyFrame) -> pl.LazyFrame:
    return book.with_columns(shelved=pl.col("shelf").is_not_null())


SHELVED_BOOK = replace(
    DIM_BOOK,
    columns=(*DIM_BOOK.columns, Column("shelved", BOOLEAN)),
    build=build_dim_book,
    reference_query="SELECT book_id, title, shelf, genre::text AS genre, shelf IS NOT NULL AS shelved FROM book",
)


def build_fact_loan(loan: pl.LazyFrame) -> pl.LazyFrame:
    return loan.with_columns(lent_on=pl.col("lent_at").dt.date(), lent_in=pl.col("lent_at").dt.year())


YEARLY_LOAN = replace(
    FACT_LOAN,
    columns=(*FACT_LOAN.columns, Column("lent_in", INTEGER, description="The year")),
    build=build_fact_loan,
    reference_query=(
        "SELECT loan_id, book_id, reader, lent_at::date AS lent_on, fee, returned, "
        "extract(year FROM lent_at)::int AS lent_in FROM loan"
    ),
)

DUE = Column("due", DATE, nullable=True)
DUE_LOAN_OF_SOURCE = replace(LOAN, columns=(*LOAN.columns, DUE))
DUE_LOAN = replace(
    FACT_LOAN,
    columns=(*FACT_LOAN.columns, DUE),
    reference_query="SELECT loan_id, book_id, reader, lent_at::date AS lent_on, fee, returned, due FROM loan",
)

# What the model is then, and how the warning names what is new.
GROWN = {
    "a dimension": ((FACT_LOAN, DIM_BOOK, DIM_READER), "dim_reader"),
    "a fact, and with it a star": ((FACT_LOAN, DIM_BOOK, FACT_SHELVING), "fact_shelving"),
    "a column of a dimension": ((FACT_LOAN, SHELVED_BOOK), "dim_book.shelved"),
    "a column of a fact": ((YEARLY_LOAN, DIM_BOOK), "fact_loan.lent_in"),
}
YEARS = "SELECT loan_record_id, loan_id, lent_in FROM warehouse.fact_loan ORDER BY 1"


def release(pipeline: Pipeline, model: Model) -> None:
    """All services are those of a release with this model."""
    pipeline.model = model
    pipeline.restart()


async def told(pipeline: Pipeline) -> list[tuple[str, bool, str]]:
    """What ingest says of its start in a tick: level, whether it takes everything, and why."""
    with capture_logs() as logs:
        await pipeline.tick()
    started = [log for log in logs if log["event"] == LogEvent.EXTRACTION_STARTED]
    return [(log["log_level"], log["everything"], log["reason"]) for log in started]


async def equal(pipeline: Pipeline) -> bool:
    return await verified(pipeline.source_dsn, pipeline.warehouse_dsn, pipeline.model)


@pytest.fixture
async def settled(library: Pipeline) -> Pipeline:
    """The library's warehouse of the first release, with nothing left to bring."""
    await library.tick()
    await library.tick()
    return library


@pytest.mark.parametrize("case", GROWN)
async def test_what_the_model_gains_is_filled_by_the_next_tick(case: str, settled: Pipeline) -> None:
    tables, new = GROWN[case]
    release(settled, replace(MODEL, tables=tables))
    assert await told(settled) == [("warning", True, f"the model declares {new} since the last run")]
    assert await equal(settled)
    assert await told(settled) == [("info", False, "changes since the last run")]


async def test_while_a_release_is_deployed_what_each_service_writes_is_read_by_the_next(settled: Pipeline) -> None:
    load = settled.load
    await execute(settled.source_dsn, "UPDATE loan SET fee = 7 WHERE loan_id = 1")
    await settled.ingest.work(ExtractTrigger())
    release(settled, replace(MODEL, tables=GROWN["a column of a fact"][0]))
    await settled.transform.work(RECONCILE)
    await load.work(RECONCILE)
    fees = await settled.rows("SELECT fee::int FROM warehouse.fact_loan_current WHERE loan_id = 1")
    assert [row["fee"] for row in fees] == [7]
    assert await told(settled) == [("warning", True, "the model declares fact_loan.lent_in since the last run")]
    assert await equal(settled)


async def test_what_an_earlier_ingest_extracts_without_a_new_source_column_stops_nothing(settled: Pipeline) -> None:
    await execute(settled.source_dsn, "ALTER TABLE loan ADD due date DEFAULT '2026-12-01'", "UPDATE loan SET fee = 7")
    await settled.ingest.work(ExtractTrigger())
    release(settled, replace(MODEL, sources=(DUE_LOAN_OF_SOURCE, BOOK), tables=(DUE_LOAN, DIM_BOOK)))
    with capture_logs() as logs:
        await settled.catch_up()
    assert [(log["table"], log["lacking"]) for log in logs if log["event"] == LogEvent.TABLE_SKIPPED] == [
        ("fact_loan", ["loan.due"])
    ]
    with pytest.raises(CorruptObject, match="is not valid CSV of loan"):
        await settled.transform.work(RunsTrigger(run=1))
    reason = "the definition of loan changed, so unwritten rows may show other values"
    assert await told(settled) == [("warning", True, reason)]
    assert await equal(settled)


async def test_what_a_rolled_back_release_left_out_is_filled_by_the_next_one(settled: Pipeline) -> None:
    grown = replace(MODEL, tables=GROWN["a dimension"][0])
    release(settled, grown)
    await settled.tick()
    release(settled, MODEL)
    await execute(settled.source_dsn, "UPDATE loan SET reader = 'Eve'")
    assert await told(settled) == [("info", False, "changes since the last run")]
    assert await equal(settled)
    release(settled, grown)
    assert await told(settled) == [("warning", True, "the model declares dim_reader since the last run")]
    assert await equal(settled)


async def test_a_record_of_before_it_told_what_was_declared_brings_one_full_extraction(settled: Pipeline) -> None:
    last = await settled.lake.newest_manifest()
    assert last is not None
    body = last.model_copy(update={"run": last.run + 1}).model_dump_json(exclude={"declared"}).encode()
    await settled.lake.claim_run_number()
    await settled.lake.ingest.put_new(record_key(last.run + 1, EMPTY), body)
    reason = "the last run does not record for which warehouse tables it was extracted"
    assert await told(settled) == [("warning", True, reason)]
    assert await equal(settled)
    assert await told(settled) == [("info", False, "changes since the last run")]


async def test_a_facts_new_column_is_in_new_versions_and_a_replay_brings_it_into_the_old_ones(
    settled: Pipeline,
) -> None:
    assert len(await settled.rows("SELECT FROM warehouse.fact_loan")) == 2
    release(settled, replace(MODEL, tables=(YEARLY_LOAN, DIM_BOOK)))
    await settled.tick()
    versions = [(1, 1, None), (2, 2, None), (3, 1, 2026), (4, 2, 2026)]
    assert await rows(settled.warehouse_dsn, YEARS) == versions
    for relation in ("warehouse.fact_loan_current", "lending.fact_loan_current", "lending.fact_loan_as_of(now())"):
        assert (
            await rows(settled.warehouse_dsn, f"SELECT loan_record_id, loan_id, lent_in FROM {relation}")
            == versions[2:]
        )
    before = "lending.fact_loan_as_of((SELECT snapshot_time FROM etl.run WHERE run = 1))"
    assert await rows(settled.warehouse_dsn, f"SELECT loan_record_id, lent_in FROM {before}") == [(1, None), (2, None)]
    await settled.catch_up(RunsTrigger(from_run=1, to_run=3))
    assert await rows(settled.warehouse_dsn, YEARS) == [(1, 1, 2026), (2, 2, 2026)]
    assert await equal(settled)

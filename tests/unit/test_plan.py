"""An extraction's jobs take every page of every table, and none twice."""

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.model import MODEL
from totesys.table import Capture
from totesys_ingest.extraction_jobs import Job, plan_jobs

CHANGES = [table for table in MODEL.sources if table.capture is Capture.INCREMENTAL]
SIZES = st.dictionaries(st.sampled_from([table.name for table in MODEL.sources]), st.integers(0, 5_000))


@examples(200)
@given(pages=SIZES, pages_per_job=st.integers(1, 6_000))
def test_every_page_is_in_exactly_one_job(pages: dict[str, int], pages_per_job: int) -> None:
    jobs = plan_jobs(MODEL.sources, pages, pages_per_job)
    for table in MODEL.sources:
        parts = [job for job in jobs if job.table is table]
        assert parts[0].first_page == 0
        assert [part.end_page for part in parts[:-1]] == [part.first_page for part in parts[1:]]
        # Rows that come while the table is read, or a table that has grown, are in the last part.
        assert parts[-1].end_page is None


@examples(200)
@given(pages=SIZES, pages_per_job=st.integers(1, 6_000))
def test_a_job_is_bounded_and_none_is_empty_by_plan(pages: dict[str, int], pages_per_job: int) -> None:
    for table in CHANGES:
        size = pages.get(table.name, 0)
        starts = [job.first_page for job in plan_jobs([table], pages, pages_per_job)]
        ends = [*starts[1:], max(size, 1)]
        assert all(0 < end - start <= pages_per_job for start, end in zip(starts, ends, strict=True))


@examples(50)
@given(pages=SIZES)
def test_jobs_keep_the_order_of_the_tables(pages: dict[str, int]) -> None:
    order = MODEL.extraction_order
    places = [order.index(job.table) for job in plan_jobs(order, pages, 10)]
    assert places == sorted(places)
    assert set(places) == set(range(len(order)))


def test_a_table_that_is_taken_whole_is_one_job() -> None:
    snapshots = [table for table in MODEL.sources if table.capture is Capture.FULL_REFRESH]
    assert plan_jobs(snapshots, {table.name: 10**6 for table in snapshots}, 1) == [Job(table) for table in snapshots]

"""How an extraction is cut into pieces of work. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from totesys.table import Capture, SourceTable


@dataclass(frozen=True)
class Job:
    """The rows of a table on its pages from `first_page` to before `end_page` (None: to its end)."""

    table: SourceTable
    first_page: int = 0
    end_page: int | None = None


def plan_jobs(tables: Iterable[SourceTable], pages: Mapping[str, int], pages_per_job: int) -> list[Job]:
    """Cut each table that is captured as changes into jobs, in the tables' order.

    A table's rows take about as many bytes in CSV as on its pages. The last job of a table is open-ended.
    """
    jobs: list[Job] = []
    for table in tables:
        if table.capture is Capture.SNAPSHOT:
            jobs.append(Job(table))
            continue
        starts = range(0, max(1, pages.get(table.name, 0)), pages_per_job)
        ends = [*starts[1:], None]
        jobs += [Job(table, start, end) for start, end in zip(starts, ends, strict=True)]
    return jobs

"""Plans the jobs for the changes that the source's log names. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping

from totesys.schema import Model
from totesys.table import Capture, SourceQuery, SourceTable
from totesys_ingest.changed_keys import TableChanges
from totesys_ingest.extraction_jobs import Job, deleted_jobs, lookup_jobs, swept_tables

# So few keys are looked up in any table. To look up more costs a page each.
FEW_KEYS = 1_000


def jobs_of_changes(
    model: Model,
    changes: Mapping[str, TableChanges],
    whole: Collection[str],
    wanted: Mapping[str, tuple[int | str, ...]],
    pages: Mapping[str, int],
    scan: Callable[[Iterable[SourceTable]], list[Job]],
) -> list[Job]:
    """Jobs for the changed rows, in the order of extraction, and after them for the keys that are gone.

    A full-refresh table comes whole if it changed, is among `whole`, or is joined with one that does. Of incremental
    tables, the rows with changed or `wanted` keys; `scan` plans a scan of those whose changes the log does not name, or
    that have fewer `pages` than changed keys, and of the changed rows of queries.
    """
    full_refresh = {table.name for table in model.sources if table.capture is Capture.FULL_REFRESH}
    changed = full_refresh & {*changes, *whole}
    needed = changed | model.needed_with(changed)
    jobs: list[Job] = []
    for table in model.extraction_order:
        found = changes.get(table.name, TableChanges())
        if isinstance(table, SourceQuery):
            jobs += scan([table])
        elif table.capture is Capture.FULL_REFRESH:
            jobs += scan([table]) if table.name in needed else []
        elif found.scan or len(found.written) > max(FEW_KEYS, pages.get(table.name, 0)):
            jobs += scan([table])
        else:
            jobs += lookup_jobs(table, {*found.written, *wanted.get(table.name, ())})
    return jobs + _deletion_jobs(model, changes)


def _deletion_jobs(model: Model, changes: Mapping[str, TableChanges]) -> list[Job]:
    jobs: list[Job] = []
    for table in swept_tables(model):
        found = changes.get(table.name, TableChanges())
        jobs += [Job(table, keys=True)] if found.sweep else deleted_jobs(table, found.lost)
    return jobs

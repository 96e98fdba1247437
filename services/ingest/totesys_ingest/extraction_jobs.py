"""Splits an extraction into jobs. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from totesys.schema import Model
from totesys.table import Capture, SourceQuery, SourceTable
from totesys.transactions import HighWaterMark

NO_CHANGES: Mapping[str, Sequence["ChangedRows"]] = {}
NO_KEYS: Mapping[str, tuple[int | str, ...]] = {}


@dataclass(frozen=True)
class Stream:
    """What parts of one kind hold: a table's rows or, with `keys`, all of its keys."""

    table: SourceTable
    keys: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.table.keys if self.keys else self.table).column_names


@dataclass(frozen=True)
class ChangedRows:
    """The rows of one table of a query, the one at `place` of its tables, that a mark has not seen.

    `rows` are their places in the table; None if there are too many to list.
    """

    place: int
    rows: tuple[str, ...] | None


@dataclass(frozen=True)
class Job:
    """A table's rows from page `first_page` to before `end_page` (None: to its end) or, with `keys`, all its keys.

    With `mark`, only the rows that it has not seen and those with a `wanted` key. With `changed`, those rows of a query
    that come from these rows, and of which the tables before have not changed.
    """

    table: SourceTable
    first_page: int = 0
    end_page: int | None = None
    mark: HighWaterMark | None = None
    wanted: tuple[int | str, ...] = ()
    keys: bool = False
    changed: ChangedRows | None = None

    @property
    def may_begin_run(self) -> bool:
        """Whether a new run may begin with this job, rather than the job belong to the run before it."""
        return self.table.capture is Capture.INCREMENTAL and not self.keys

    @property
    def stream(self) -> Stream:
        return Stream(self.table, self.keys)


def plan_jobs(
    tables: Iterable[SourceTable],
    pages: Mapping[str, int],
    pages_per_job: int,
    mark: HighWaterMark | None = None,
    wanted: Mapping[str, tuple[int | str, ...]] = NO_KEYS,
    changed: Mapping[str, Sequence[ChangedRows]] = NO_CHANGES,
) -> list[Job]:
    """Split each incremental table into jobs, in the tables' order; a full-refresh table is one job with all rows.

    Rows take about as many bytes in CSV as on their pages. The last job of a table is open-ended. `wanted` are, by
    table, the keys whose rows are extracted whether or not they changed since `mark`. `changed` are the changed rows of
    the queries; one that is not among them is extracted whole.
    """
    jobs: list[Job] = []
    for table in tables:
        if table.capture is Capture.FULL_REFRESH:
            jobs.append(Job(table))
            continue
        of_table = mark
        if isinstance(table, SourceQuery):
            if mark is not None and table.name in changed:
                jobs += [Job(table, mark=mark, changed=one) for one in changed[table.name]]
                continue
            of_table = None
        starts = range(0, max(1, pages.get(table.base_tables[0], 0)), pages_per_job)
        ends = [*starts[1:], None]
        keys = wanted.get(table.name, ())
        jobs += [Job(table, start, end, of_table, keys) for start, end in zip(starts, ends, strict=True)]
    return jobs


def key_jobs(model: Model) -> list[Job]:
    """A job for the keys of every source table whose key identifies rows of a warehouse table."""
    primary = dict.fromkeys(table.sources[0] for table in model.tables if table.sources)
    return [Job(model.source(name), keys=True) for name in primary]

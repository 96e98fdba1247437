"""Splits an extraction into jobs. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from totesys.schema import Model
from totesys.table import KEY_RANGES, Capture, SourceTable
from totesys.transactions import HighWaterMark

NO_KEYS: Mapping[str, tuple[int, ...]] = {}
# The keys that one statement looks up.
KEYS_PER_JOB = 20_000


@dataclass(frozen=True)
class Stream:
    """What parts of one kind hold: a table's rows or, with `keys` or `deleted`, ranges of keys."""

    table: SourceTable
    keys: bool = False
    deleted: bool = False

    @property
    def rows(self) -> bool:
        return not self.keys and not self.deleted

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.table if self.rows else KEY_RANGES).column_names


@dataclass(frozen=True)
class Job:
    """A table's rows from page `first_page` to before `end_page` (None: to its end) or, with `keys`, all its keys.

    With `mark`, only the rows that it has not seen and those with a `wanted` key. With `by_key`, only the rows with a
    `wanted` key; with `deleted`, those of the `wanted` keys that no row has.
    """

    table: SourceTable
    first_page: int = 0
    end_page: int | None = None
    mark: HighWaterMark | None = None
    wanted: tuple[int, ...] = ()
    keys: bool = False
    by_key: bool = False
    deleted: bool = False

    @property
    def may_begin_run(self) -> bool:
        """Whether a new run may begin with this job, rather than the job belong to the run before it."""
        return self.table.capture is Capture.INCREMENTAL and self.stream.rows

    @property
    def stream(self) -> Stream:
        return Stream(self.table, self.keys, self.deleted)


def plan_jobs(
    tables: Iterable[SourceTable],
    pages: Mapping[str, int],
    pages_per_job: int,
    mark: HighWaterMark | None = None,
    wanted: Mapping[str, tuple[int, ...]] = NO_KEYS,
) -> list[Job]:
    """Split each incremental table into jobs, in the tables' order; a full-refresh table is one job with all rows.

    Rows take about as many bytes in CSV as on their pages. The last job of a table is open-ended. `wanted` are, by
    table, the keys whose rows are extracted whether or not they changed since `mark`.
    """
    jobs: list[Job] = []
    for table in tables:
        if table.capture is Capture.FULL_REFRESH:
            jobs.append(Job(table))
            continue
        starts = range(0, max(1, pages.get(table.name, 0)), pages_per_job)
        ends = [*starts[1:], None]
        keys = wanted.get(table.name, ())
        jobs += [Job(table, start, end, mark, keys) for start, end in zip(starts, ends, strict=True)]
    return jobs


def lookup_jobs(table: SourceTable, keys: Collection[int]) -> list[Job]:
    """Jobs for the rows of an incremental table with these keys."""
    return [Job(table, wanted=some, by_key=True) for some in _batches(keys)]


def deleted_jobs(table: SourceTable, keys: Collection[int]) -> list[Job]:
    """Jobs for those of the keys that the table no longer has."""
    return [Job(table, wanted=some, deleted=True) for some in _batches(keys)]


def _batches(keys: Collection[int]) -> Iterator[tuple[int, ...]]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), KEYS_PER_JOB):
        yield tuple(ordered[start : start + KEYS_PER_JOB])


def swept_tables(model: Model) -> list[SourceTable]:
    """The source tables whose integer key identifies rows of a warehouse table, so that deletions can be found."""
    primary = dict.fromkeys(table.sources[0] for table in model.tables if table.sources)
    tables = [model.source(name) for name in primary]
    return [table for table in tables if table.column(table.key).type.is_integer]


def key_jobs(model: Model) -> list[Job]:
    """A job for the keys of every table that a deletion sweep compares."""
    return [Job(table, keys=True) for table in swept_tables(model)]

"""Splits an extraction into jobs. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from totesys.errors import BadMessage
from totesys.schema import Model
from totesys.sql_keys import is_bigint
from totesys.table import KEY_RANGES, Capture, SourceQuery, SourceTable
from totesys.transactions import HighWaterMark

NO_CHANGES: Mapping[str, Sequence["ChangedRows"]] = {}
NO_KEYS: Mapping[str, tuple[int | str, ...]] = {}
# The keys that one statement looks up.
KEYS_PER_JOB = 20_000


@dataclass(frozen=True)
class Stream:
    """What parts of one kind hold: a table's rows, with `keys` all of its keys, or with `deleted` ranges of keys."""

    table: SourceTable
    keys: bool = False
    deleted: bool = False

    @property
    def rows(self) -> bool:
        return not self.keys and not self.deleted

    @property
    def columns(self) -> tuple[str, ...]:
        if self.deleted:
            return KEY_RANGES.column_names
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

    With `mark`, only the rows that it has not seen and those with a `wanted` key. With `by_key`, only the rows with a
    `wanted` key; with `deleted`, those of the `wanted` keys that no row has. With `changed`, those rows of a query that
    come from these rows, and of which the tables before have not changed.
    """

    table: SourceTable
    first_page: int = 0
    end_page: int | None = None
    mark: HighWaterMark | None = None
    wanted: tuple[int | str, ...] = ()
    keys: bool = False
    by_key: bool = False
    deleted: bool = False
    changed: ChangedRows | None = None

    @property
    def may_begin_run(self) -> bool:
        """Whether a new run may begin with this job, rather than the job belong to the run before it."""
        return self.table.capture is Capture.INCREMENTAL and self.stream.rows

    @property
    def stream(self) -> Stream:
        return Stream(self.table, self.keys, self.deleted)


def check_wanted(model: Model, wanted: Mapping[str, tuple[int | str, ...]]) -> None:
    """Raise BadMessage if a message names keys of no declared table, or keys that a table cannot have."""
    if unknown := set(wanted) - {table.name for table in model.sources}:
        raise BadMessage(f"The source has no declared table {', '.join(sorted(unknown))}. Ingest made no run.")
    for name, keys in wanted.items():
        if model.source(name).has_integer_key and (wrong := [key for key in keys if not is_bigint(str(key))]):
            raise BadMessage(f"{wrong[0]!r} is not a key of {name}: it is not a 64-bit integer. Ingest made no run.")


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


def lookup_jobs(table: SourceTable, keys: Collection[int | str]) -> list[Job]:
    """Jobs for the rows of an incremental table with these keys."""
    return [Job(table, wanted=some, by_key=True) for some in _batches(keys)]


def deleted_jobs(table: SourceTable, keys: Collection[int]) -> list[Job]:
    """Jobs for those of the keys that the table no longer has."""
    return [Job(table, wanted=some, deleted=True) for some in _batches(keys)]


def _batches(keys: Collection[int | str]) -> Iterator[tuple[int | str, ...]]:
    ordered = sorted(keys, key=lambda key: key if isinstance(key, int) else 0)
    for start in range(0, len(ordered), KEYS_PER_JOB):
        yield tuple(ordered[start : start + KEYS_PER_JOB])


def swept_tables(model: Model) -> list[SourceTable]:
    """The source tables whose keys identify rows of a warehouse table, so that deletions can be found."""
    primary = dict.fromkeys(table.sources[0] for table in model.tables if table.sources)
    return [model.source(name) for name in primary]


def key_jobs(model: Model) -> list[Job]:
    """A job for the keys of every table that a deletion sweep compares."""
    return [Job(table, keys=True) for table in swept_tables(model)]

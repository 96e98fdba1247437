"""How an extraction is cut into pieces of work. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from totesys.schema import Model
from totesys.table import KEY_RANGES, Capture, SourceTable
from totesys.transactions import HighWaterMark


@dataclass(frozen=True)
class Slice:
    """Which of a table's rows come: those that `mark` has not seen and those with a `wanted` key; without, all."""

    mark: HighWaterMark | None = None
    wanted: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stream:
    """What the parts of one kind hold: a table's rows or, with `keys`, the ranges of the keys that it has."""

    table: SourceTable
    keys: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (KEY_RANGES if self.keys else self.table).column_names


@dataclass(frozen=True)
class Job:
    """The rows of a table on its pages from `first_page` to before `end_page` (None: to its end), or all its keys."""

    table: SourceTable
    first_page: int = 0
    end_page: int | None = None
    keys: bool = False

    @property
    def cut(self) -> bool:
        """Whether it may begin a run: what must stay with what came before it may not."""
        return self.table.capture is Capture.INCREMENTAL and not self.keys

    @property
    def stream(self) -> Stream:
        return Stream(self.table, self.keys)


def plan_jobs(tables: Iterable[SourceTable], pages: Mapping[str, int], pages_per_job: int) -> list[Job]:
    """Cut each table that is captured as changes into jobs, in the tables' order.

    A table's rows take about as many bytes in CSV as on its pages. The last job of a table is open-ended.
    """
    jobs: list[Job] = []
    for table in tables:
        if table.capture is Capture.FULL_REFRESH:
            jobs.append(Job(table))
            continue
        starts = range(0, max(1, pages.get(table.name, 0)), pages_per_job)
        ends = [*starts[1:], None]
        jobs += [Job(table, start, end) for start, end in zip(starts, ends, strict=True)]
    return jobs


def key_jobs(model: Model) -> list[Job]:
    """A job of keys for every source table whose rows become rows of the warehouse with an integer key."""
    primary = dict.fromkeys(table.sources[0] for table in model.tables if table.sources)
    tables = [model.source(name) for name in primary]
    return [Job(table, keys=True) for table in tables if table.column(table.key).type.is_integer]

"""The result of a verification."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from totesys.transactions import HighWaterMark

SAMPLES = 5
ROWS_NAMED = 10_000


class Verdict(StrEnum):
    """What is the matter with a row that differs between the sides."""

    DIFFERING = "differing"
    MISSING = "missing"
    EXTRA = "extra"
    # These are not wrong.
    QUARANTINED = "quarantined"
    CHANGED_SINCE = "changed_since"
    DELETED_SINCE = "deleted_since"

    @property
    def is_wrong(self) -> bool:
        return self in (Verdict.DIFFERING, Verdict.MISSING, Verdict.EXTRA)


@dataclass(frozen=True)
class Sample:
    """A wrong value; for a row on one side only, its key."""

    key: str
    column: str
    expected: str | None
    found: str | None


@dataclass(frozen=True)
class UnequalRow:
    """A row that differs, and its differing columns.

    For a row on one side only these are the key, for a quarantined row the columns that it is quarantined for.
    """

    key: str
    verdict: Verdict
    columns: tuple[str, ...]


@dataclass(frozen=True)
class TableComparison:
    """The numbers of a table's rows by verdict.

    `compared` is the sum of `equal`, `differing`, `missing` and `extra`. `quarantined` are rows of the source that
    cannot become warehouse rows, by the rules of transform and load. `changed_since` and `deleted_since` are rows that
    differ because the source changed after the newest run's snapshot. `wrong` and `apart` name the rows behind these
    numbers, each at most ROWS_NAMED.
    """

    table: str
    compared: int = 0
    equal: int = 0
    differing: int = 0
    missing: int = 0
    extra: int = 0
    quarantined: int = 0
    changed_since: int = 0
    deleted_since: int = 0
    wrong: tuple[UnequalRow, ...] = ()
    apart: tuple[UnequalRow, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def is_equal(self) -> bool:
        return self.equal == self.compared

    @property
    def unnamed(self) -> int:
        """How many wrong rows are not in `wrong`."""
        return self.compared - self.equal - len(self.wrong)


@dataclass(frozen=True)
class NewestRun:
    """The newest complete run in the warehouse, and which transactions its snapshot has seen."""

    run: int
    snapshot_time: datetime
    mark: HighWaterMark


@dataclass(frozen=True)
class Verification:
    """The comparisons of all tables as of the newest run, `baseline`.

    Without it, `reason` says why the current state of the source was compared. `time` is the source's.
    """

    time: datetime
    baseline: NewestRun | None
    reason: str
    tables: tuple[TableComparison, ...]

    @property
    def is_equal(self) -> bool:
        """Whether no row is wrong."""
        return equal(self.tables)

    @property
    def quarantined(self) -> int:
        """How many rows of the source cannot become warehouse rows, which does not make the warehouse unequal."""
        return sum(table.quarantined for table in self.tables)

    def __iter__(self) -> Iterator[TableComparison]:
        return iter(self.tables)


def equal(comparisons: Iterable[TableComparison]) -> bool:
    """Whether no row is wrong."""
    return all(comparison.is_equal for comparison in comparisons)


@dataclass
class Tally:
    """Counts a table's rows as they are compared."""

    table: str
    equal: int = 0
    counts: Counter[Verdict] = field(default_factory=Counter)
    rows: dict[bool, list[UnequalRow]] = field(default_factory=lambda: {True: [], False: []})
    samples: list[Sample] = field(default_factory=list)

    def add(self, row: UnequalRow, samples: Iterable[Sample] = ()) -> None:
        """Count an unequal row, and name it while there is room."""
        self.counts[row.verdict] += 1
        named = self.rows[row.verdict.is_wrong]
        if len(named) < ROWS_NAMED:
            named.append(row)
        if row.verdict.is_wrong and len(self.samples) < SAMPLES:
            self.samples += samples

    def result(self) -> TableComparison:
        """The counts so far."""
        wrong = sum(count for verdict, count in self.counts.items() if verdict.is_wrong)
        return TableComparison(
            self.table,
            compared=self.equal + wrong,
            equal=self.equal,
            **{str(verdict): self.counts[verdict] for verdict in Verdict},
            wrong=tuple(self.rows[True]),
            apart=tuple(self.rows[False]),
            samples=tuple(self.samples[:SAMPLES]),
        )

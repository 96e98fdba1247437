"""Where an extraction starts: at a high-water mark, or with everything. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from totesys.lake.records import Manifest, TableDefinition
from totesys.transactions import HALF_CIRCLE, HighWaterMark, OpenTransaction, SourceState, show_lsn
from totesys_ingest.source_contract import ContractChanges


@dataclass(frozen=True)
class SourceStatus:
    """The source just before a snapshot: its place in its history, its clock, and which transactions may be open.

    All transactions before `xmin` have ended, and none from `xmax` on has begun.
    """

    place: SourceState
    time: datetime
    in_recovery: bool
    xmin: int
    xmax: int


@dataclass(frozen=True)
class SourceSnapshot:
    """A snapshot of the source, and what ingest knows about the source at that point.

    The snapshot shows everything committed before `taken_at` (the source's clock) and nothing later in the log than
    `lsn`. `mark` is what it has seen, `changes` describe its tables, and `counts` are the rows of full-refresh
    tables and of those that a query may lose.
    """

    status: SourceStatus
    mark: HighWaterMark
    id: str
    taken_at: datetime
    lsn: int
    changes: ContractChanges = field(default_factory=ContractChanges)
    open_transaction: OpenTransaction | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def resized(self, last: Manifest | None) -> set[str]:
        """The full-refresh tables with another number of rows than at the last run, the only trace of deleted rows."""
        before = last.counts if last else {}
        return {table for table, rows in self.counts.items() if before.get(table) != rows}


@dataclass(frozen=True)
class StartingPoint:
    """Where an extraction starts and why: after what `mark` has seen, or with everything (None).

    `kept` is the high-water mark that stays in force until the extraction is complete. `warning` marks an
    unrequested full extraction.
    """

    mark: HighWaterMark | None
    kept: HighWaterMark | None
    reason: str
    warning: bool = False


def standby_lag(last: Manifest | None, status: SourceStatus) -> str | None:
    """Why a standby cannot be read yet: it shows less than the last run has seen. None if it can be read."""
    place = status.place
    if last is None or last.position is None or not status.in_recovery or not place.is_of(last.source):
        return None
    if place.timeline < last.position.timeline:
        return f"it is on timeline {place.timeline}, and run {last.run} was on {last.position.timeline}"
    if place.lsn < last.position.reached:
        here, there = show_lsn(place.lsn), show_lsn(last.position.lsn)
        return f"it has replayed the log up to {here}, and run {last.run} has seen {there}"
    return None


def choose_start(
    mode: str, last: Manifest | None, snapshot: SourceSnapshot, declared: Mapping[str, tuple[str, ...]]
) -> StartingPoint:
    """Continue from the last run, unless its record does not fit this source or the tables `declared` now."""
    if last is None:
        return StartingPoint(None, None, "the lake has no run yet")
    if reason := snapshot.status.place.breaks_with(last.source, last.position):
        return _everything(reason)
    mark, xmax = last.next_start, snapshot.mark.xmax
    if mark is None:
        return StartingPoint(None, None, "no full extraction is complete yet")
    if mark.xmax > xmax:
        return _everything(f"the last run has seen transaction {mark.xmax}, and the source is only at {xmax}")
    if xmax - mark.xmin >= HALF_CIRCLE:
        return _everything("the last run is too many transactions old to tell which rows are newer")
    if last.definitions and (tables := redefined(last.definitions, snapshot.changes.definitions)):
        return _everything(f"the definition of {', '.join(tables)} changed, so unwritten rows may show other values")
    if last.declared is None:
        return _everything("the last run does not record for which warehouse tables it was extracted")
    if added := _added(last.declared, declared):
        return _everything(f"the model declares {', '.join(added)} since the last run")
    if mode == "full":
        return StartingPoint(None, mark, "a full extraction was requested")
    return StartingPoint(mark, mark, "changes since the last run")


def _everything(reason: str) -> StartingPoint:
    return StartingPoint(None, None, reason, warning=True)


def redefined(before: Mapping[str, TableDefinition], now: Mapping[str, TableDefinition]) -> list[str]:
    """The tables whose rows may show other values although no transaction has written them since `before`.

    A relation that joins a table brings its old rows along. A column with another number is another column. A label
    that disappeared or changed its id changes the rows that have it; a new label is in no row yet.
    """
    return [name for name, definition in now.items() if name not in before or _differs(before[name], definition)]


def _differs(before: TableDefinition, now: TableDefinition) -> bool:
    return (
        not set(now.relations) <= set(before.relations)
        or now.columns != before.columns
        or not before.labels.items() <= now.labels.items()
    )


def _added(before: Mapping[str, tuple[str, ...]], now: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The warehouse tables that were not declared before, and the new columns of the others as `table.column`."""
    added = []
    for table, columns in now.items():
        if table not in before:
            added.append(table)
        else:
            added += [f"{table}.{column}" for column in columns if column not in before[table]]
    return added

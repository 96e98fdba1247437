"""Where an extraction starts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from totesys.lake.records import Manifest, TableDefinition
from totesys.transactions import HALF_CIRCLE, HighWaterMark, OpenTransaction, SourceState, show_lsn
from totesys_ingest.declaration import new_in
from totesys_ingest.definition import redefined


@dataclass(frozen=True)
class Standing:
    """A source just before a snapshot of it: its place in its history, its time, what may be in progress.

    All transactions before `xmin` have ended, and none from `xmax` on.
    """

    place: SourceState
    time: datetime
    in_recovery: bool
    xmin: int
    xmax: int


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of the source, and the tables' definitions in it.

    It shows all that was committed before `taken_at`, by the source's clock, and nothing that is later in the log than
    `lsn`.
    """

    id: str
    taken_at: datetime
    lsn: int
    definitions: Mapping[str, TableDefinition] = field(default_factory=dict)


@dataclass(frozen=True)
class Sight:
    """What is known of a source when a snapshot of it has been taken. `mark` is what the snapshot has seen."""

    standing: Standing
    mark: HighWaterMark
    snapshot: Snapshot
    open_transaction: OpenTransaction | None = None


@dataclass(frozen=True)
class Start:
    """Where an extraction starts: after what `mark` has seen, or with everything (None), and why.

    `kept` is the high-water mark that stays in force until the extraction is complete. `warning` marks a start that a
    person should know of.
    """

    mark: HighWaterMark | None
    kept: HighWaterMark | None
    reason: str
    warning: bool = False


def behind(last: Manifest | None, standing: Standing) -> str | None:
    """Why a standby cannot be read yet, which shows less than the last run has seen; None if it can."""
    place = standing.place
    if last is None or last.position is None or not standing.in_recovery or not place.is_of(last.source):
        return None
    if place.timeline < last.position.timeline:
        return f"it is on timeline {place.timeline}, run {last.run} was on {last.position.timeline}"
    if place.lsn < last.position.reached:
        here, there = show_lsn(place.lsn), show_lsn(last.position.lsn)
        return f"it has replayed the log up to {here}, run {last.run} has seen {there}"
    return None


def choose_start(mode: str, last: Manifest | None, sight: Sight, declared: Mapping[str, tuple[str, ...]]) -> Start:
    """Start where the newest record says, unless that says nothing about this source or about what is declared now."""
    if last is None:
        return Start(None, None, "the lake has no run yet")
    if reason := sight.standing.place.breaks_with(last.source, last.position):
        return _everything(reason)
    mark = last.next_start
    if mark is None:
        return Start(None, None, "no full extraction has been completed yet")
    if mark.xmax > sight.mark.xmax:
        return _everything(f"the last run has seen transaction {mark.xmax}, the source is only at {sight.mark.xmax}")
    if sight.mark.xmax - mark.xmin >= HALF_CIRCLE:
        return _everything("the last run is too many transactions ago to tell what is newer")
    if last.definitions and (tables := redefined(last.definitions, sight.snapshot.definitions)):
        return _everything(f"{', '.join(tables)} may show other values in rows that nobody has written")
    if last.declared is None:
        return _everything("the last run does not tell for which warehouse tables it was extracted")
    if new := new_in(last.declared, declared):
        return _everything(f"the model declares {', '.join(new)} since the last run")
    if mode == "full":
        return Start(None, mark, "a full extraction was asked for")
    return Start(mark, mark, "changes since the last run")


def _everything(reason: str) -> Start:
    return Start(None, None, reason, warning=True)

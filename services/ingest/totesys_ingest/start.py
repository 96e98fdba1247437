"""Where an extraction starts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from totesys.lake.records import Manifest, TableDefinition
from totesys.transactions import HALF_CIRCLE, HighWaterMark, OpenTransaction, show_lsn
from totesys_ingest.declaration import new_in
from totesys_ingest.definition import redefined

_LOST = "transactions that the last run saw are not in the source's history"


@dataclass(frozen=True)
class Standing:
    """A source just before a snapshot of it: its time, how far its log is, and which transactions may be in progress.

    All before `xmin` have ended, and none from `xmax` on. `outcomes` are those of the transactions whose outcomes the
    last run recorded.
    """

    source: str
    time: datetime
    in_recovery: bool
    lsn: int
    xmin: int
    xmax: int
    outcomes: str | None = None

    @property
    def timeline(self) -> int:
        return int(self.source.split("/")[1])


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
    if last is None or last.position is None or not standing.in_recovery or not _same_database(last, standing):
        return None
    if standing.timeline < last.position.timeline:
        return f"it is on timeline {standing.timeline}, run {last.run} was on {last.position.timeline}"
    if standing.lsn < last.position.reached:
        here, there = show_lsn(standing.lsn), show_lsn(last.position.lsn)
        return f"it has replayed the log up to {here}, run {last.run} has seen {there}"
    return None


def choose_start(mode: str, last: Manifest | None, sight: Sight, declared: Mapping[str, tuple[str, ...]]) -> Start:
    """Start where the newest record says, unless that says nothing about this source or about what is declared now."""
    if last is None:
        return Start(None, None, "the lake has no run yet")
    if reason := _another_history(last, sight.standing):
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


def same_history(last: Manifest, standing: Standing) -> bool:
    """Whether the source goes on from where the last run saw it."""
    return _another_history(last, standing) is None


def _everything(reason: str) -> Start:
    return Start(None, None, reason, warning=True)


def _another_history(last: Manifest, standing: Standing) -> str | None:
    """Why the source does not go on from where the last run saw it; None if it does.

    A standby that takes over without having lost anything does, although its timeline is another one.
    """
    agree = last.position.outcomes.agree(standing.outcomes) if last.position and standing.outcomes else None
    if not _same_database(last, standing) or (agree is None and last.source != standing.source):
        return f"the source is {standing.source}, the lake's last run is of {last.source}"
    if agree is False:
        return f"{_LOST}: it went back to an earlier state, or another server took over that lacked them"
    if last.position and standing.lsn < last.position.reached:
        there, here = show_lsn(last.position.lsn), show_lsn(standing.lsn)
        return f"{_LOST}: its log was at {there}, and is at {here}"
    return None


def _same_database(last: Manifest, standing: Standing) -> bool:
    system, _, database = standing.source.split("/")
    return last.source.split("/")[::2] == [system, database]

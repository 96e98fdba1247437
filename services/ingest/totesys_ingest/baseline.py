"""Where an extraction starts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys.lake.records import Manifest, TableDefinition
from totesys.transactions import HALF_CIRCLE
from totesys_ingest.declaration import new_in
from totesys_ingest.definition import redefined


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of the source, and the tables' definitions in it.

    `xmin` and `xmax` are 64-bit transaction ids, as `pg_current_snapshot` gives them.
    """

    id: str
    source: str
    xmin: int
    xmax: int
    definitions: Mapping[str, TableDefinition] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """Where an extraction starts: at `xmin`, or with everything (None), and why.

    `kept` is the baseline that stays in force until the extraction is complete. `warning` marks a start that
    a person should know of.
    """

    xmin: int | None
    kept: int | None
    reason: str
    warning: bool = False


def choose_start(
    mode: str, last: Manifest | None, snapshot: Snapshot, declared: Mapping[str, tuple[str, ...]]
) -> Start:
    """Start where the newest record says, unless that says nothing about this source or about what is declared now."""
    if last is None:
        return Start(None, None, "the lake has no run yet")
    if last.source != snapshot.source:
        return _everything(f"the source is {snapshot.source}, the lake's last run is of {last.source}")
    baseline = last.xmin_after
    if baseline is None:
        return Start(None, None, "no full extraction has been completed yet")
    if baseline > snapshot.xmax:
        return _everything(f"the last run has seen transaction {baseline}, the source is only at {snapshot.xmax}")
    if snapshot.xmax - baseline >= HALF_CIRCLE:
        return _everything("the last run is too many transactions ago to tell what is newer")
    if last.definitions and (tables := redefined(last.definitions, snapshot.definitions)):
        return _everything(f"{', '.join(tables)} may show other values in rows that nobody has written")
    if last.declared is None:
        return _everything("the last run does not tell for which warehouse tables it was extracted")
    if new := new_in(last.declared, declared):
        return _everything(f"the model declares {', '.join(new)} since the last run")
    if mode == "full":
        return Start(None, baseline, "a full extraction was asked for")
    return Start(baseline, baseline, "changes since the last run")


def _everything(reason: str) -> Start:
    return Start(None, None, reason, warning=True)

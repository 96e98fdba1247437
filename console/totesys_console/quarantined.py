"""What is in quarantine of some runs, by table. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from totesys.service.runs import RunDetail


@dataclass(frozen=True)
class Quarantined:
    """The rows of a table that are in quarantine, and the runs that brought them."""

    table: str
    rows: str
    runs: tuple[int, ...]


def quarantined(runs: Sequence[RunDetail]) -> tuple[Quarantined, ...]:
    """What these runs, newest first, have in quarantine."""
    rows: Counter[str] = Counter()
    of: dict[str, list[int]] = {}
    for run in runs:
        for table in sorted({*run.quarantine, *run.loaded}):
            built, loaded = run.quarantine.get(table), run.loaded.get(table)
            found = (built.rows if built else 0) + (loaded.quarantined if loaded else 0)
            if found:
                rows[table] += found
                of.setdefault(table, []).append(run.run)
    return tuple(Quarantined(table, f"{rows[table]:,}", tuple(of[table])) for table in sorted(rows))

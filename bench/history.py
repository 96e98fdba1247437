"""The ratios of every full run, one line each: a regression shows beside the runs before it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter

from bench.figures import Figures
from bench.results_file import Results
from bench.targets import targets

HISTORY = "history.json"
FULL = "full"


class FullRun(BaseModel):
    """A full run: when, of which commit, and the ratios among its targets by name."""

    model_config = ConfigDict(frozen=True)

    started: AwareDatetime
    commit: str
    ratios: dict[str, float]


_RUNS = TypeAdapter(list[FullRun])


def read_history(folder: Path) -> list[FullRun]:
    """The full runs so far, oldest first; none without a file. Raises pydantic.ValidationError for another file."""
    file = folder / HISTORY
    return _RUNS.validate_json(file.read_bytes()) if file.exists() else []


def record_full_run(folder: Path, results: Results) -> None:
    """Add a complete full run to the file. Other runs are not comparable, and are left out."""
    if not results.complete or results.head.size != FULL:
        return
    ratios = {target.name: round(target.figure, 4) for target in targets(Figures(results.measurements)) if target.ratio}
    run = FullRun(started=results.head.started, commit=_commit(), ratios=ratios)
    _write(folder / HISTORY, [*read_history(folder), run])


def _write(file: Path, runs: Sequence[FullRun]) -> None:
    lines = ",\n".join(run.model_dump_json() for run in runs)
    file.write_text(f"[\n{lines}\n]\n")


def _commit() -> str:
    """The commit that was measured; with a + if files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

"""The results of a run, and their files: results.json, results.md and the charts."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bench.machine import Machine
from bench.measurement import Measurement

RESULTS = "results.json"


class Head(BaseModel):
    """When, how much and on what. `durable`: each commit of the databases waits for the disk."""

    model_config = ConfigDict(frozen=True)

    started: AwareDatetime
    size: str
    about: str
    durable: bool
    machine: Machine


class Results(BaseModel):
    """Everything of a run. `complete` is False if it ended early; `failures` are one line each."""

    head: Head
    complete: bool = False
    failures: list[str] = []
    measurements: list[Measurement] = []


@dataclass(frozen=True)
class Journal:
    """Writes the results after every figure, so that a run that ends early keeps what it has."""

    folder: Path
    results: Results

    def record(self, measurement: Measurement) -> None:
        """Add a figure."""
        self.results.measurements.append(measurement)
        self._write()

    def fail(self, failure: str) -> None:
        """Add a failure, with its reason."""
        self.results.failures.append(failure)
        self._write()

    def finish(self) -> None:
        """Mark the run as complete."""
        self.results.complete = True
        self._write()

    def _write(self) -> None:
        # Replaced as a whole, so that a reader never sees half of it.
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{RESULTS}.new"
        draft.write_text(self.results.model_dump_json(indent=1) + "\n")
        draft.replace(self.folder / RESULTS)


def read(folder: Path) -> Results:
    """The results in `folder`. Raises OSError, or pydantic.ValidationError if the file holds something else."""
    return Results.model_validate_json((folder / RESULTS).read_bytes())

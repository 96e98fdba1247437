"""The results on disk."""

from dataclasses import dataclass
from pathlib import Path

from bench.measurement import Measurement
from bench.report import report
from bench.results import Results

RESULTS = "results.json"
REPORT = "results.md"
CHARTS = "charts"


@dataclass(frozen=True)
class Journal:
    """Keeps results on disk as they come, so that a run that ends early keeps what it had."""

    folder: Path
    results: Results

    def record(self, measurement: Measurement) -> None:
        """Add a figure."""
        self.results.measurements.append(measurement)
        self._write()

    def fail(self, failure: str) -> None:
        """Say what could not be measured, and why."""
        self.results.failures.append(failure)
        self._write()

    def finish(self) -> None:
        """Say that the run went on to its end."""
        self.results.complete = True
        self._write()

    def _write(self) -> None:
        # A reader sees all that was there before, or all that is there then.
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{RESULTS}.new"
        draft.write_text(self.results.model_dump_json(indent=1) + "\n")
        draft.replace(self.folder / RESULTS)


def read(folder: Path) -> Results:
    """The results in `folder`. Raises OSError, or pydantic.ValidationError if they are none."""
    return Results.model_validate_json((folder / RESULTS).read_bytes())


def write_report(folder: Path, results: Results) -> None:
    """Draw the charts and write the report beside the results; charts of an earlier run go."""
    # Only this needs the library that draws.
    from bench.charts import draw

    charts = folder / CHARTS
    charts.mkdir(exist_ok=True)
    for old in charts.glob("*.svg"):
        old.unlink()
    drawn = draw(results.measurements, charts)
    (folder / REPORT).write_text(report(results, [(chart.title, f"{CHARTS}/{chart.file}") for chart in drawn]))

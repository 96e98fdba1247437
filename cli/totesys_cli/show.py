"""What a person sees of runs."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console
from rich.table import Table

from totesys.log_events import LogEvent
from totesys.service.runs import RunDetail, RunState
from totesys_cli.services import Event


class Written(Protocol):
    """What a simulation has done: committed rows by table, and its transactions."""

    @property
    def inserted(self) -> Mapping[str, int]: ...
    @property
    def updated(self) -> Mapping[str, int]: ...
    @property
    def committed(self) -> int: ...
    @property
    def rolled_back(self) -> int: ...


def written(counts: Written) -> str:
    """What a simulation has done, in words."""
    new, changed = sum(counts.inserted.values()), sum(counts.updated.values())
    transactions = f"{counts.committed:,} transactions, {counts.rolled_back:,} rolled back"
    return f"{new:,} new and {changed:,} changed rows in {transactions}"


def counted(counts: Written) -> dict[str, object]:
    """The same for programs."""
    return {
        "inserted": dict(counts.inserted),
        "updated": dict(counts.updated),
        "committed": counts.committed,
        "rolled_back": counts.rolled_back,
    }


def show_run(console: Console, run: RunDetail) -> None:
    """Print a run: rows by table, seconds by stage, freshness."""
    if run.stages["ingest"].state == "empty":
        console.print(f"[bold]Run {run.run}[/bold] is empty: nothing had changed. {_seconds(run)}")
        return
    table = Table(title=f"Run {run.run}", title_justify="left")
    table.add_column("table")
    for name in ("rows", "written", "quarantined"):
        table.add_column(name, justify="right")
    for name, loaded in run.loaded.items():
        rejected = run.quarantine[name].rows if name in run.quarantine else 0
        table.add_row(name, f"{loaded.rows:,}", f"{loaded.written:,}", f"{rejected + loaded.quarantined:,}")
    console.print(table)
    console.print(_seconds(run), soft_wrap=True)


def line(event: Event) -> str | None:
    """One line for a log line of a service that a person wants to see; None for the others."""
    fields = event.fields
    if event.name == LogEvent.RUN_COMPLETED:
        rows = sum(fields.get("written", fields["rows"]).values())
        fresh = f", {fields['latency_s']:.1f} s after its snapshot" if "latency_s" in fields else ""
        what = "nothing had changed" if event.service == "ingest" and not fields["rows"] else f"{rows:,} rows"
        return f"run {fields['run']:>4}  {event.service:<9} {what}, {fields['duration_s']:.2f} s{fresh}"
    if event.name == LogEvent.DEPENDENCIES_UNAVAILABLE:
        faults = " ".join(fields["dependencies"].values())
        return f"[yellow]{event.service} waits[/yellow], asks again in {fields['retry_s']} s: {_plain(faults)}"
    if event.name in {LogEvent.MESSAGE_FAILED, LogEvent.RECONCILIATION_FAILED}:
        again = f"tried again in {fields['retry_s']} s" if "retry_s" in fields else "given up"
        return f"[red]{event.service} failed[/red], {again}: {_plain(fields['error'])}"
    if event.name == LogEvent.EXTRACTION_DEFERRED:
        return "another extraction of this source is at work"
    if event.name == LogEvent.EXTRACTION_STARTED and fields.get("level") == "warning":
        return f"[yellow]everything is extracted:[/yellow] {_plain(fields['reason'])}"
    if event.name == LogEvent.SCHEMA_DRIFT_FOUND:
        return (
            f"[yellow]the source differs[/yellow], {_plain(fields['next'])}: {_plain(', '.join(fields['differences']))}"
        )
    if event.name == LogEvent.ROWS_QUARANTINED:
        shown = {name: value for name, value in fields.items() if name in {"run", "rows"}}
        return f"[yellow]{event.name}[/yellow] {_plain(str(shown))}"
    return None


def to_json(runs: Sequence[RunState]) -> str:
    """The runs as one JSON array."""
    return "[" + ",\n".join(run.model_dump_json() for run in runs) + "]"


def _seconds(run: RunDetail) -> str:
    stages = [f"{name} {stage.seconds:.2f} s" for name, stage in run.stages.items() if stage.seconds is not None]
    fresh = [] if run.freshness is None else [f"in the warehouse {run.freshness:.2f} s after its snapshot"]
    return " · ".join([*stages, *fresh])


def _plain(text: str) -> str:
    return text.replace("[", r"\[")

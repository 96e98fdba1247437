"""Runs and log lines of the services, for people."""

from rich.console import Group, RenderableType
from rich.text import Text

from totesys.log_events import LogEvent
from totesys.service.runs import RunDetail
from totesys_cli.service_processes import ServiceEvent
from totesys_cli.terminal import printable, table


def describe_run(run: RunDetail) -> RenderableType:
    """A run: rows by table, seconds by stage, latency."""
    if run.stages["ingest"].state == "empty":
        return Text.assemble((f"Run {run.run}", "bold"), f" is empty: the source had no changes. {_seconds(run)}")
    rows = table("table", numbers=("rows", "written", "quarantined"))
    rows.title, rows.title_justify = f"Run {run.run}", "left"
    for name, loaded in run.loaded.items():
        rejected = run.quarantine[name].rows if name in run.quarantine else 0
        rows.add_row(name, f"{loaded.rows:,}", f"{loaded.written:,}", f"{rejected + loaded.quarantined:,}")
    return Group(rows, _seconds(run))


def event_line(event: ServiceEvent) -> Text | None:
    """One line for a log line that people want to see; None for the others."""
    fields, service = event.fields, event.service
    match event.name:
        case LogEvent.RUN_COMPLETED:
            rows = sum(fields.get("written", fields["rows"]).values())
            latency = f", {fields['latency_s']:.1f} s after its snapshot" if "latency_s" in fields else ""
            what = "no changes" if service == "ingest" and not fields["rows"] else f"{rows:,} rows"
            return Text(f"run {fields['run']:>4}  {service:<9} {what}, {fields['duration_s']:.2f} s{latency}")
        case LogEvent.DEPENDENCIES_UNAVAILABLE:
            faults = " ".join(fields["dependencies"].values())
            return _line(f"{service} waits", "yellow", f", next check in {fields['retry_s']} s: {faults}")
        case LogEvent.MESSAGE_FAILED | LogEvent.RECONCILIATION_FAILED:
            then = f"retried in {fields['retry_s']} s" if "retry_s" in fields else "given up"
            return _line(f"{service} failed", "red", f", {then}: {fields['error']}")
        case LogEvent.EXTRACTION_DEFERRED:
            return Text("Another extraction of this source is in progress.")
        case LogEvent.EXTRACTION_STARTED if fields.get("level") == "warning":
            return _line("Everything is extracted:", "yellow", f" {fields['reason']}")
        case LogEvent.SCHEMA_DRIFT_FOUND:
            return _line("The source differs", "yellow", f", {fields['next']}: {', '.join(fields['differences'])}")
        case LogEvent.ROWS_QUARANTINED:
            rows = ", ".join(f"{name} {count:,}" for name, count in fields["rows"].items())
            return _line("Rows quarantined", "yellow", f" in run {fields['run']}: {rows}")
    return None


def _line(head: str, style: str, rest: str) -> Text:
    return Text.assemble((head, style), printable(rest))


def _seconds(run: RunDetail) -> str:
    stages = [f"{name} {stage.seconds:.2f} s" for name, stage in run.stages.items() if stage.seconds is not None]
    latency = [] if run.freshness is None else [f"in the warehouse {run.freshness:.2f} s after its snapshot"]
    return " · ".join([*stages, *latency])

"""A trace, for people."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.console import Group
from rich.text import Text

from totesys_cli.printable import one_line, printable
from totesys_load.trace.origin_models import Origin, Trace, Version

_VALUE_CHARACTERS = 60


def to_page(trace: Trace) -> Group:
    """Every version with the runs that it came from, then deletions and what is in quarantine."""
    return Group(*_lines(trace))


def _lines(trace: Trace) -> Iterator[Text]:
    for version in trace.versions:
        yield from _version(trace, version)
    for deletion in trace.deletions:
        back = ""
        if deletion.returned_at:
            back = f"; back with run {deletion.returned_run}, {_time(deletion.returned_at)}"
        yield Text(f"deleted    run {deletion.run}, {_time(deletion.deleted_at)}{back}", style="yellow")
    for row in trace.quarantine:
        yield Text(printable(f"quarantine run {row.run}: {'; '.join(row.reasons)}"), style="yellow")
        yield Text(f"  values    {_values(row.values)}")
        yield Text(printable(f"  object    {row.object}"))


def _version(trace: Trace, version: Version) -> Iterator[Text]:
    number = "" if version.record_id is None else f", version {version.record_id}"
    yield Text(printable(f"{trace.table} {trace.id}{number}"), style="bold")
    yield Text(f"  values    {_values(version.values)}")
    if not version.origins:
        yield Text("  No run of this lake is known to have brought it.", style="yellow")
    for origin in version.origins:
        yield from _origin(origin)


def _origin(origin: Origin) -> Iterator[Text]:
    since = "the beginning" if origin.xmin_before is None else f"transaction {origin.xmin_before}"
    yield Text(f"  run {origin.run:<5} {printable(origin.trigger)}, extraction {origin.extraction}")
    yield Text(f"  snapshot  {_time(origin.snapshot_time)} of {printable(origin.source)}, from {since}{_until(origin)}")
    times = {
        "ingest": origin.ingested_at,
        "transform": origin.transformed_at,
        "applied": origin.applied_at,
        "load": origin.loaded_at,
    }
    yield Text("  times     " + ", ".join(f"{name} {_time(time)}" for name, time in times.items() if time))
    for kind, objects in (("parquet", origin.parquet), ("csv", origin.csv)):
        for key in objects:
            yield Text(printable(f"  {kind:<9} {key}"))
    if not origin.parquet:
        yield Text("  Its objects do not hold it any more.", style="yellow")


def _until(origin: Origin) -> str:
    return "" if origin.xmin_after is None else f" to {origin.xmin_after}"


def _values(values: Mapping[str, str | None]) -> str:
    shown = (f"{name}={'NULL' if text is None else one_line(text, _VALUE_CHARACTERS)}" for name, text in values.items())
    return printable(", ".join(shown))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"

"""`totesys trace`: from a warehouse row back to its run and its objects in the lake."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from totesys.schema import load_model
from totesys_cli.command_errors import UsageError
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation, WarehouseLocation
from totesys_cli.terminal import Output, one_line, printable, timestamp
from totesys_load.trace.origin_models import Origin, Trace, Version
from totesys_load.trace.row_origin import TraceRequest, trace_row

_VALUE_CHARACTERS = 60


async def run_trace(
    output: Output,
    location: DataPlaneLocation,
    warehouse: WarehouseLocation,
    table: str,
    key: str,
    version_id: int | None,
) -> None:
    """Print where a row came from. Raises UsageError if there is none."""
    async with lake_at(location) as lake:
        asked = TraceRequest(table, key, version_id)
        found = await trace_row(lake, load_model(warehouse.model), warehouse.dsn, warehouse.schema, asked)
    if found is None:
        version = "" if version_id is None else f", version {version_id}"
        raise UsageError(f"Neither the warehouse nor the quarantine has {table} {key}{version}. Check table and ID.")
    output.result(found, Text("\n").join(_lines(found)))


def _lines(trace: Trace) -> Iterator[Text]:
    """Every version with its runs, then deletions and quarantined rows."""
    for version in trace.versions:
        yield from _version(trace, version)
    for deletion in trace.deletions:
        back = ""
        if deletion.returned_at:
            back = f"; back with run {deletion.returned_run}, {timestamp(deletion.returned_at)}"
        yield Text(f"deleted    run {deletion.run}, {timestamp(deletion.deleted_at)}{back}", style="yellow")
    for row in trace.quarantine:
        yield Text(printable(f"quarantine run {row.run}: {'; '.join(row.reasons)}"), style="yellow")
        yield Text(f"  values    {_values(row.values)}")
        yield Text(printable(f"  object    {row.object}"))


def _version(trace: Trace, version: Version) -> Iterator[Text]:
    number = "" if version.record_id is None else f", version {version.record_id}"
    yield Text(printable(f"{trace.table} {trace.id}{number}"), style="bold")
    yield Text(f"  values    {_values(version.values)}")
    if not version.origins:
        yield Text("  No run of this lake is known to have written it.", style="yellow")
    for origin in version.origins:
        yield from _origin(origin)


def _origin(origin: Origin) -> Iterator[Text]:
    since = "the beginning" if origin.xmin_before is None else f"transaction {origin.xmin_before}"
    until = "" if origin.xmin_after is None else f" to {origin.xmin_after}"
    yield Text(f"  run {origin.run:<5} {printable(origin.trigger)}, extraction {origin.extraction}")
    yield Text(f"  snapshot  {timestamp(origin.snapshot_time)} of {printable(origin.source)}, from {since}{until}")
    times = {
        "ingest": origin.ingested_at,
        "transform": origin.transformed_at,
        "applied": origin.applied_at,
        "load": origin.loaded_at,
    }
    yield Text("  times     " + ", ".join(f"{name} {timestamp(time)}" for name, time in times.items() if time))
    for kind, objects in (("parquet", origin.parquet), ("csv", origin.csv)):
        for key in objects:
            yield Text(printable(f"  {kind:<9} {key}"))
    if not origin.parquet:
        yield Text("  The run's objects no longer contain it.", style="yellow")


def _values(values: Mapping[str, str | None]) -> str:
    shown = (f"{name}={'NULL' if text is None else one_line(text, _VALUE_CHARACTERS)}" for name, text in values.items())
    return printable(", ".join(shown))

"""The page of one run: what each stage did with each table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from totesys.lake.records import LoadedTable, TableParts
from totesys.service.runs import RunDetail
from totesys_console.attention import next_after
from totesys_console.data_plane import DataPlane
from totesys_console.run_table import QuarantinedSummary, RunRow, quarantined, run_row
from totesys_console.wording import size, span

_PARTS = ("Rows", "Size", "Parts", "Time")
_LOADED = ("Rows", "Written", "Quarantined", "Deleted", "Time")


@dataclass(frozen=True)
class TableFigures:
    """The figures of a table in a run, in the order of the columns."""

    table: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class StageTables:
    """What a stage did, table by table."""

    stage: str
    caption: str
    columns: tuple[str, ...]
    tables: tuple[TableFigures, ...]


@dataclass(frozen=True)
class RunPage:
    """The page of a run. `next` is what happens after its failures; `newer` and `older` are its neighbours.

    `rows_commands` show its quarantined rows.
    """

    service: str
    row: RunRow
    next: tuple[str, ...]
    complete: bool
    rows_commands: tuple[str, ...]
    stages: tuple[StageTables, ...]
    quarantined: tuple[QuarantinedSummary, ...]
    newer: int | None
    older: int | None


def run_page(service: str, plane: DataPlane, run: RunDetail, last: int, now: datetime) -> RunPage:
    """The page of a run, in a lake whose last run number is `last`."""
    return RunPage(
        service=service,
        row=run_row(run, now),
        next=tuple(next_after(state.error) for state in run.stages.values() if state.error),
        complete=run.complete,
        rows_commands=tuple(plane.quarantine_command(table, run.run) for table in run.quarantined_rows),
        stages=(
            StageTables("ingest", "Extracted from the source", _PARTS, _parts(run.extracted)),
            StageTables("transform", "Built", _PARTS, _parts(run.built)),
            StageTables("quarantine", "Rows that could not become warehouse rows", _PARTS, _parts(run.quarantine)),
            StageTables("load", "Written to the warehouse", _LOADED, _loaded(run.loaded)),
        ),
        quarantined=quarantined([run]),
        newer=run.run + 1 if run.run < last else None,
        older=run.run - 1 if run.run > 1 else None,
    )


def _parts(tables: Mapping[str, TableParts]) -> tuple[TableFigures, ...]:
    lines = [_figures(name, one.rows, one.bytes, len(one.parts), span(one.seconds)) for name, one in tables.items()]
    if len(lines) > 1:
        every = tables.values()
        parts = sum(len(one.parts) for one in every)
        lines.append(_figures("all", sum(one.rows for one in every), sum(one.bytes for one in every), parts, ""))
    return tuple(lines)


def _figures(name: str, rows: int, size_bytes: int, parts: int, time: str) -> TableFigures:
    return TableFigures(name, (f"{rows:,}", size(size_bytes), f"{parts:,}", time))


def _loaded(tables: Mapping[str, LoadedTable]) -> tuple[TableFigures, ...]:
    return tuple(
        TableFigures(
            name, (f"{one.rows:,}", f"{one.written:,}", f"{one.quarantined:,}", f"{one.deleted:,}", span(one.seconds))
        )
        for name, one in tables.items()
    )

"""The page of one run: what each stage did with each table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from totesys.lake.records import LoadedTable, TableParts
from totesys.service.runs import RunDetail
from totesys_console.run_table import Row, row
from totesys_console.wording import size, span


@dataclass(frozen=True)
class TableLine:
    """A table in a run: its figures, in the order of the columns."""

    table: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class StageTable:
    """What a stage did, table by table."""

    stage: str
    says: str
    columns: tuple[str, ...]
    lines: tuple[TableLine, ...]


@dataclass(frozen=True)
class RunPage:
    """The page of one run."""

    service: str
    row: Row
    complete: bool
    stages: tuple[StageTable, ...]
    newer: int | None
    older: int | None


def run_page(service: str, run: RunDetail, last: int, now: datetime) -> RunPage:
    """The page that says what the run is."""
    return RunPage(
        service=service,
        row=row(run, now),
        complete=run.complete,
        stages=(
            _parts("ingest", "What it took from the source", run.extracted),
            _parts("transform", "What it built", run.built),
            _parts("quarantine", "What could not become a row of the warehouse", run.quarantine),
            _loaded(run.loaded),
        ),
        newer=run.run + 1 if run.run < last else None,
        older=run.run - 1 if run.run > 1 else None,
    )


def _parts(stage: str, says: str, tables: Mapping[str, TableParts]) -> StageTable:
    lines = [
        TableLine(name, (f"{one.rows:,}", size(one.bytes), f"{len(one.parts):,}", span(one.seconds)))
        for name, one in tables.items()
    ]
    return StageTable(stage, says, ("Rows", "Size", "Parts", "Time"), _summed(lines, tables))


def _summed(lines: list[TableLine], tables: Mapping[str, TableParts]) -> tuple[TableLine, ...]:
    if len(lines) < 2:
        return tuple(lines)
    parts: Sequence[TableParts] = list(tables.values())
    rows, sizes = sum(one.rows for one in parts), sum(one.bytes for one in parts)
    total = (f"{rows:,}", size(sizes), f"{sum(len(one.parts) for one in parts):,}", "")
    return (*lines, TableLine("all", total))


def _loaded(tables: Mapping[str, LoadedTable]) -> StageTable:
    lines = [
        TableLine(
            name,
            (f"{one.rows:,}", f"{one.written:,}", f"{one.quarantined:,}", f"{one.deleted:,}", span(one.seconds)),
        )
        for name, one in tables.items()
    ]
    columns = ("Rows", "Written", "Quarantined", "Deleted", "Time")
    return StageTable("load", "What it wrote into the warehouse", columns, tuple(lines))

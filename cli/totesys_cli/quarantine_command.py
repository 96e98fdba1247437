"""`totesys quarantine`: the rows that could not become warehouse rows, and why."""

import json
from collections.abc import Iterator, Sequence

from rich.table import Column, Table
from rich.text import Text

from totesys.schema import load_model
from totesys_cli.data_plane_clients import lake_at
from totesys_cli.options import DataPlaneLocation
from totesys_cli.quarantined_rows import QuarantinedRow, QuarantineFilter, ReasonCount, read_reasons, read_rows
from totesys_cli.terminal import Output, one_line, printable, table

_REASON_CHARACTERS = 200


async def list_reasons(
    output: Output, location: DataPlaneLocation, model: str, wanted: QuarantineFilter, limit: int
) -> None:
    """Print the number of rows by run, table and reason."""
    async with lake_at(location) as lake:
        reasons = await read_reasons(lake, load_model(model), wanted, limit + 1)
    output.result(reasons[:limit], _table(reasons[:limit]) if reasons else "The quarantine has no such rows.")
    _note_if_more(output, len(reasons), limit)


async def show_rows(
    output: Output, location: DataPlaneLocation, model: str, wanted: QuarantineFilter, limit: int
) -> None:
    """Print rows with all their values."""
    async with lake_at(location) as lake:
        rows = await read_rows(lake, load_model(model), wanted, limit + 1)
    lines = [line for row in rows[:limit] for line in _lines(row)]
    output.result(rows[:limit], Text("\n").join(lines) if lines else "The quarantine has no such rows.")
    _note_if_more(output, len(rows), limit)


def _note_if_more(output: Output, found: int, limit: int) -> None:
    if found > limit:
        output.note(f"--limit {limit} is reached; there are more.")


def _table(reasons: Sequence[ReasonCount]) -> Table:
    run, *counts = (Column(name, justify="right") for name in ("run", "rows", "objects"))
    rows = table(run, "table", *counts, Column("reason", overflow="fold"))
    for reason in reasons:
        others = f", and {reason.others:,} rows with other values" if reason.others else ""
        rows.add_row(
            str(reason.run),
            Text(printable(reason.table)),
            f"{reason.rows:,}",
            f"{len(reason.objects):,}",
            Text(one_line("; ".join(reason.reasons), _REASON_CHARACTERS) + others),
        )
    return rows


def _lines(row: QuarantinedRow) -> Iterator[Text]:
    width = max(map(len, row.values), default=0)
    yield Text(printable(f"{row.table}, run {row.run}: {'; '.join(row.reasons)}"), style="bold")
    yield Text(f"  {printable(row.object)}", style="dim")
    for name, value in row.values.items():
        # Quoted: spaces at the end and line breaks have to be visible.
        text = ("NULL", "dim") if value is None else printable(json.dumps(value, ensure_ascii=False))
        yield Text.assemble(f"  {printable(name):<{width}}  ", text)
    yield Text()

"""Quarantined rows, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys_cli.printable import one_line, printable
from totesys_cli.quarantine.rows import QuarantinedRow, Reason

_REASON_CHARACTERS = 200


def to_table(reasons: Sequence[Reason]) -> Table:
    """A line for each run, table and reason."""
    table = Table(
        Column("run", justify="right"),
        Column("table", no_wrap=True),
        Column("rows", justify="right"),
        Column("objects", justify="right"),
        Column("reason", overflow="fold"),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for reason in reasons:
        others = f", and {reason.others:,} rows with other values" if reason.others else ""
        said = Text(one_line("; ".join(reason.reasons), _REASON_CHARACTERS) + others)
        table.add_row(
            str(reason.run), Text(printable(reason.table)), f"{reason.rows:,}", f"{len(reason.objects):,}", said
        )
    return table


def to_pages(rows: Sequence[QuarantinedRow]) -> Group:
    """Each row whole, one value a line."""
    return Group(*(line for row in rows for line in _page(row)))


def to_json(found: Sequence[Reason] | Sequence[QuarantinedRow]) -> str:
    """The same as a JSON array."""
    return json.dumps([asdict(one) for one in found], ensure_ascii=False)


def _page(row: QuarantinedRow) -> list[Text]:
    width = max(map(len, row.values), default=0)
    head = Text(printable(f"{row.table}, run {row.run}: {'; '.join(row.reasons)}"), style="bold")
    values = [
        Text.assemble(f"  {printable(name):<{width}}  ", ("NULL", "dim") if text is None else _value(text))
        for name, text in row.values.items()
    ]
    return [head, Text(f"  {printable(row.object)}", style="dim"), *values, Text()]


def _value(text: str) -> str:
    # Quoted, as text that ends in a space or goes over several lines could not be told from another.
    return printable(json.dumps(text, ensure_ascii=False))

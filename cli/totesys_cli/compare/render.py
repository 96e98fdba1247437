"""A comparison's result, for people and for programs."""

import json
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys_cli.compare.checksums import Checksum
from totesys_cli.compare.comparison import Comparison

_NAMED = 10
# As much of a checksum as fits into its column: all of it is compared.
_DIGITS = 2**64


def to_table(comparisons: Sequence[Comparison]) -> Group:
    """A line for each table, the verdict, and the runs that differ."""
    table = Table(Column("table", no_wrap=True), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("rows", "checksum", "other rows", "checksum", "runs", "runs differing"):
        table.add_column(name, justify="right")
    for one in comparisons:
        cells = [f"{one.left.rows:,}", _short(one.left), f"{one.right.rows:,}", _short(one.right)]
        runs = [f"{one.runs:,}", f"{len(one.different_runs):,}"] if one.runs else ["", ""]
        table.add_row(one.table, *cells, *runs, style="" if one.equal else "bold red")
    named = [_runs(one) for one in comparisons if one.different_runs]
    return Group(table, _verdict(comparisons), *named)


def to_json(comparisons: Sequence[Comparison]) -> str:
    """The same as a JSON object: `equal`, and `tables`."""
    tables = [
        {
            "table": one.table,
            "equal": one.equal,
            "rows": [one.left.rows, one.right.rows],
            "checksums": [str(one.left.hashes), str(one.right.hashes)],
            "runs": one.runs,
            "different_runs": one.different_runs,
        }
        for one in comparisons
    ]
    return json.dumps({"equal": all(one.equal for one in comparisons), "tables": tables})


def _short(checksum: Checksum) -> str:
    return f"{int(checksum.hashes) % _DIGITS:016x}"


def _verdict(comparisons: Sequence[Comparison]) -> Text:
    different = [one.table for one in comparisons if not one.equal]
    if different:
        return Text(f"The warehouses differ in {', '.join(different)}.", style="bold red")
    rows = sum(one.left.rows for one in comparisons)
    return Text(f"The warehouses are equal: {rows:,} rows, every column, versions run by run.", style="green")


def _runs(one: Comparison) -> Text:
    more = ", …" if len(one.different_runs) > _NAMED else ""
    return Text(f"{one.table} differs in runs {', '.join(map(str, one.different_runs[:_NAMED]))}{more}")

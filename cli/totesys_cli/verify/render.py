"""A verification's result, for people and for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys_cli.verify.comparison import Sample, TableComparison, equal

COUNTS = ("compared", "equal", "differing", "missing", "extra", "quarantined")
WRONG = {"differing", "missing", "extra"}


def to_table(comparisons: Sequence[TableComparison]) -> Group:
    """The counts of each table, the verdict, and examples of what is wrong."""
    table = Table(Column("table", no_wrap=True), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in COUNTS:
        table.add_column(name, justify="right")
    for comparison in comparisons:
        table.add_row(comparison.table, *(_count(comparison, name) for name in COUNTS))
    samples = [_sample(comparison, sample) for comparison in comparisons for sample in comparison.samples]
    return Group(table, _verdict(comparisons), *samples)


def to_json(comparisons: Sequence[TableComparison]) -> str:
    """The same as a JSON object: `equal`, and `tables` with their counts and samples."""
    document = {"equal": equal(comparisons), "tables": [asdict(comparison) for comparison in comparisons]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _count(comparison: TableComparison, name: str) -> Text:
    count: int = getattr(comparison, name)
    return Text(f"{count:,}", style="bold red" if count and name in WRONG else "")


def _verdict(comparisons: Iterable[TableComparison]) -> Text:
    compared = sum(comparison.compared for comparison in comparisons)
    wrong = compared - sum(comparison.equal for comparison in comparisons)
    if wrong:
        return Text(f"The warehouse differs from the source in {wrong:,} of {compared:,} rows.", style="bold red")
    return Text(f"The warehouse equals the source: {compared:,} rows, every column.", style="bold green")


def _sample(comparison: TableComparison, sample: Sample) -> Text:
    expected, found = _value(sample.expected), _value(sample.found)
    text = f"{comparison.table} {sample.key}, {sample.column}: expected {expected}, found {found}"
    return Text(text, no_wrap=True, overflow="ignore")


def _value(text: str | None) -> str:
    return "NULL" if text is None else json.dumps(text, ensure_ascii=False)

"""A verification's result, for people and for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Group
from rich.text import Text

from totesys.verify import Sample, TableComparison, UnequalRow, Verdict, Verification
from totesys_cli.terminal import table, timestamp

COUNTS = ("compared", "equal", "differing", "missing", "extra", "quarantined")
WRONG = {"differing", "missing", "extra"}
KEYS_SHOWN = 20
CHARACTERS_SHOWN = 1000
APART = {
    Verdict.CHANGED_SINCE: "changed at the source since then, not loaded yet",
    Verdict.DELETED_SINCE: "deleted at the source since then, or never in a run",
    Verdict.QUARANTINED: "quarantined until they, or the rows that they refer to, are corrected in the source",
}


def to_table(verification: Verification) -> Group:
    """The run compared, each table's counts, the verdict, the wrong rows, and other rows that differ."""
    counts = table("table", numbers=COUNTS)
    for comparison in verification:
        numbers = ((name, getattr(comparison, name)) for name in COUNTS)
        cells = (Text(f"{n:,}", style="bold red" if n and name in WRONG else "") for name, n in numbers)
        counts.add_row(comparison.table, *cells)
    lines = [line for comparison in verification for line in (*_wrong(comparison), *_apart(comparison))]
    shown = (Text(line, no_wrap=True, overflow="ignore") for line in lines)
    return Group(_as_of(verification), counts, _verdict(verification), *shown)


def to_document(verification: Verification) -> dict[str, object]:
    """The same for JSON: `equal`, `quarantined`, and `tables` with their counts, rows and samples."""
    return {
        "equal": verification.is_equal,
        "quarantined": verification.quarantined,
        "baseline": verification.baseline,
        "reason": verification.reason,
        "tables": [{**asdict(comparison), "unnamed": comparison.unnamed} for comparison in verification],
    }


def _as_of(verification: Verification) -> str:
    if verification.baseline is None:
        return f"Compared with the source as it is now: {verification.reason}."
    return f"As of run {verification.baseline.run}, snapshot {timestamp(verification.baseline.snapshot_time)} UTC."


def _verdict(verification: Verification) -> Text:
    compared = sum(comparison.compared for comparison in verification)
    wrong = compared - sum(comparison.equal for comparison in verification)
    quarantined = verification.quarantined
    rows = f"{quarantined:,} quarantined row{'s' if quarantined > 1 else ''}"
    if wrong:
        beside = f", beside {rows}" if quarantined else ""
        return Text(f"The warehouse differs from the source in {wrong:,} of {compared:,} rows{beside}.", "bold red")
    but = f", except {rows}" if quarantined else ""
    style = "bold yellow" if quarantined else "bold green"
    return Text(f"The warehouse equals the source{but}: {compared:,} rows, every column.", style)


def _wrong(comparison: TableComparison) -> Iterator[str]:
    """Samples with their values, then wrong rows with their columns, as many as fit on a screen."""
    for sample in comparison.samples:
        yield _sample(comparison, sample)
    rows = comparison.wrong[:KEYS_SHOWN]
    for row in rows:
        yield f"  {comparison.table} {row.key} {row.verdict}: {', '.join(row.columns)}"
    if more := len(comparison.wrong) + comparison.unnamed - len(rows):
        yield f"  {comparison.table}: {more:,} more rows; --json names {len(comparison.wrong):,}"


def _apart(comparison: TableComparison) -> Iterator[str]:
    for verdict, what in APART.items():
        if rows := [row for row in comparison.apart if row.verdict is verdict]:
            yield f"{comparison.table}: {getattr(comparison, verdict):,} {what} ({_keys(rows)})"


def _keys(rows: Sequence[UnequalRow]) -> str:
    shown = ", ".join(row.key for row in rows[:KEYS_SHOWN])
    return f"{shown}, …" if len(rows) > KEYS_SHOWN else shown


def _sample(comparison: TableComparison, sample: Sample) -> str:
    expected, found = _value(sample.expected), _value(sample.found)
    return f"{comparison.table} {sample.key}, {sample.column}: expected {expected}, found {found}"


def _value(text: str | None) -> str:
    if text is None:
        return "NULL"
    shown = json.dumps(text[:CHARACTERS_SHOWN], ensure_ascii=False)
    return shown if len(text) <= CHARACTERS_SHOWN else f"{shown}… ({len(text):,} characters)"

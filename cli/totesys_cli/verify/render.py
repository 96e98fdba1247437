"""A verification's result, for people and for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from totesys.verify import Sample, TableComparison, UnequalRow, Verdict, Verification

COUNTS = ("compared", "equal", "differing", "missing", "extra", "quarantined")
WRONG = {"differing", "missing", "extra"}
KEYS_SHOWN = 20
CHARACTERS_SHOWN = 1000
APART = {
    Verdict.CHANGED_SINCE: "changed at the source since and not here yet",
    Verdict.DELETED_SINCE: "deleted at the source since, or never brought by a run",
    Verdict.QUARANTINED: "in quarantine until they, or what they refer to, are corrected in the source",
}


def to_table(verification: Verification) -> Group:
    """What it is as of, the counts of each table, the verdict, what is wrong, and what is told apart."""
    table = Table(Column("table", no_wrap=True), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in COUNTS:
        table.add_column(name, justify="right")
    for comparison in verification:
        table.add_row(comparison.table, *(_count(comparison, name) for name in COUNTS))
    lines = [line for comparison in verification for line in (*_wrong(comparison), *_apart(comparison))]
    return Group(_as_of(verification), table, _verdict(verification), *lines)


def to_json(verification: Verification) -> str:
    """The same as a JSON object: `equal`, `quarantined`, and `tables` with their counts, rows and samples."""
    document = {
        "equal": verification.is_equal,
        "quarantined": verification.quarantined,
        "baseline": asdict(verification.baseline) if verification.baseline else None,
        "reason": verification.reason,
        "tables": [{**asdict(comparison), "unnamed": comparison.unnamed} for comparison in verification],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def _as_of(verification: Verification) -> Text:
    if verification.baseline is None:
        return Text(f"Compared with the source as it is now: {verification.reason}.")
    run, moment = verification.baseline.run, verification.baseline.snapshot_time
    return Text(f"As of run {run}, snapshot {moment:%Y-%m-%d %H:%M:%S} UTC.")


def _count(comparison: TableComparison, name: str) -> Text:
    count: int = getattr(comparison, name)
    return Text(f"{count:,}", style="bold red" if count and name in WRONG else "")


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


def _wrong(comparison: TableComparison) -> Iterator[Text]:
    """Samples with their values, then every row with its columns, as many as a screen holds."""
    for sample in comparison.samples:
        yield _line(_sample(comparison, sample))
    rows = comparison.wrong[:KEYS_SHOWN]
    for row in rows:
        yield _line(f"  {comparison.table} {row.key} {row.verdict}: {', '.join(row.columns)}")
    more = len(comparison.wrong) + comparison.unnamed - len(rows)
    if more:
        yield _line(f"  {comparison.table}: {more:,} more rows; --json names {len(comparison.wrong):,}")


def _apart(comparison: TableComparison) -> Iterator[Text]:
    for verdict, what in APART.items():
        rows = [row for row in comparison.apart if row.verdict is verdict]
        if rows:
            yield _line(f"{comparison.table}: {getattr(comparison, verdict):,} {what} ({_keys(rows)})")


def _keys(rows: Sequence[UnequalRow]) -> str:
    shown = ", ".join(row.key for row in rows[:KEYS_SHOWN])
    return f"{shown}, …" if len(rows) > KEYS_SHOWN else shown


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ignore")


def _sample(comparison: TableComparison, sample: Sample) -> str:
    expected, found = _value(sample.expected), _value(sample.found)
    return f"{comparison.table} {sample.key}, {sample.column}: expected {expected}, found {found}"


def _value(text: str | None) -> str:
    if text is None:
        return "NULL"
    shown = json.dumps(text[:CHARACTERS_SHOWN], ensure_ascii=False)
    return shown if len(text) <= CHARACTERS_SHOWN else f"{shown}… ({len(text):,} characters)"

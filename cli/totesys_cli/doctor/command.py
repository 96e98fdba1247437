"""`totesys doctor`: makes all checks, whatever they find."""

import asyncio
import json as json_module
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from itertools import groupby

from rich.console import Console, Group
from rich.text import Text

from totesys_cli.databases import Databases
from totesys_cli.doctor.databases import check_source, check_warehouse
from totesys_cli.doctor.finding import Finding, Level, unknown
from totesys_cli.doctor.lake import check_lake
from totesys_cli.doctor.settings import check_model, check_settings
from totesys_cli.place import Place
from totesys_cli.printable import printable

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


async def run_doctor(
    console: Console, databases: Databases, place: Place, known: Collection[str], *, quiet: bool, json: bool
) -> bool:
    """Print what each check has found; whether none failed. `known` are the variables that somebody reads."""
    findings = await find(databases, place, known)
    if json:
        console.print_json(json_module.dumps([asdict(finding) for finding in findings]))
    else:
        console.print(to_lines(findings, quiet=quiet), soft_wrap=True, highlight=False)
    return all(finding.level != Level.FAIL for finding in findings)


async def find(databases: Databases, place: Place, known: Collection[str]) -> list[Finding]:
    """All findings, in the order of the data."""
    settings = check_settings(os.environ, known)
    declared, model = check_model(databases.model)
    lake = asyncio.create_task(asyncio.to_thread(check_lake, place))
    if model is None:
        both = unknown(["source", "warehouse"], "there is no model to compare them with")
    else:
        both = [
            *await check_source(model, databases.source, databases.source_schema),
            *await check_warehouse(model, databases.warehouse, databases.warehouse_schema),
        ]
    return [*settings, declared, *both, *await lake]


def to_lines(findings: Sequence[Finding], *, quiet: bool) -> Group:
    """A line for each, `quiet`: for each that is not ok, and below it what to do; at the end how many there are."""
    shown = [finding for finding in findings if not quiet or finding.level != Level.OK]
    counts = {level: sum(finding.level == level for finding in findings) for level in Level}
    total = f"{counts[Level.OK]:,} checks are ok, {counts[Level.WARN]:,} warn, {counts[Level.FAIL]:,} fail."
    worst = next((level for level in reversed(Level) if counts[level]), Level.OK)
    alike = groupby(shown, key=lambda finding: (finding.level, finding.sentence, finding.remedy))
    lines = [line for _, findings in alike for line in _lines(list(findings))]
    return Group(*lines, Text(total, style=_STYLES[worst]))


def _lines(alike: Sequence[Finding]) -> list[Text]:
    """What the checks have found, which is the same of each."""
    finding, checks = alike[0], ", ".join(one.check for one in alike)
    head = Text.assemble((f"{finding.level:<4}", _STYLES[finding.level]), f"  {checks}: {printable(finding.sentence)}")
    return [head, Text(f"      → {printable(finding.remedy)}")] if finding.remedy else [head]

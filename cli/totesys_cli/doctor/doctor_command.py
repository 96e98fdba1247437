"""`totesys doctor`: makes all checks, whatever they find."""

import asyncio
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import groupby
from typing import Any

from rich.text import Text

from totesys.errors import TotesysError
from totesys.schema import Model, load_model
from totesys_cli.doctor import judge
from totesys_cli.doctor.data_plane_checks import check_data_plane
from totesys_cli.doctor.database_checks import check_source, check_warehouse
from totesys_cli.doctor.finding import Finding, FindingLevel, failed, ok, unknown
from totesys_cli.options import Databases, DataPlaneLocation
from totesys_cli.terminal import Output, printable
from totesys_ingest.ingest_settings import IngestSettings
from totesys_load.load_settings import LoadSettings
from totesys_transform.transform_settings import TransformSettings

PREFIX = "TOTESYS_"
# Variables without a declaration: the folder of secrets, and those for compose.
UNDECLARED = ("SECRETS_DIR", "SIMULATOR_RATE", "SOURCE_PORT", "WAREHOUSE_PORT", "INGEST_PORTS",
              "TRANSFORM_PORTS", "LOAD_PORTS", "VERSION", "REVISION", "EXTRACT")  # fmt: skip
_STYLES = {FindingLevel.OK: "green", FindingLevel.WARN: "yellow", FindingLevel.FAIL: "bold red"}


async def run_doctor(
    output: Output, databases: Databases, location: DataPlaneLocation, command: Any, *, quiet: bool
) -> bool:
    """Print each finding; whether none failed. `command` is the root command, whose options read variables."""
    findings = await find(databases, location, known_variables(command))
    output.result(findings, Text("\n").join(to_lines(findings, quiet=quiet)))
    return all(finding.level != FindingLevel.FAIL for finding in findings)


async def find(databases: Databases, location: DataPlaneLocation, known: Collection[str]) -> list[Finding]:
    """All findings, in the order of the data; `known` are the variables that services and command read."""
    python = judge.python_version(sys.version_info[:2])
    variables = judge.variables(misspelt(os.environ, known))
    declared, model = _check_model(databases.model)
    data_plane = asyncio.create_task(asyncio.to_thread(check_data_plane, location))
    if model is None:
        both = unknown(["source", "warehouse"], "no model to compare them with")
    else:
        both = [
            *await check_source(model, databases.source, databases.source_schema),
            *await check_warehouse(model, databases.warehouse, databases.warehouse_schema),
        ]
    return [python, variables, declared, *both, *await data_plane]


def known_variables(command: Any) -> set[str]:
    """The variables that services and command read."""
    services = (IngestSettings, TransformSettings, LoadSettings)
    names = {name.upper() for settings in services for name in settings.model_fields} | {*UNDECLARED}
    return {PREFIX + name for name in names} | {*_option_variables(command)}


def misspelt(environment: Mapping[str, str], known: Collection[str]) -> dict[str, str | None]:
    """Each variable that nothing reads, with the known one that it resembles."""
    unread = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(get_close_matches(name, known, 1)), None) for name in unread}


def to_lines(findings: Sequence[Finding], *, quiet: bool) -> Iterator[Text]:
    """A line per finding (if `quiet`, only those that are not ok) with its remedy below; then the totals."""
    shown = [finding for finding in findings if not quiet or finding.level != FindingLevel.OK]
    for (level, sentence, remedy), same in groupby(shown, key=lambda one: (one.level, one.sentence, one.remedy)):
        checks = ", ".join(one.check for one in same)
        yield Text.assemble((f"{level:<4}", _STYLES[level]), f"  {checks}: {printable(sentence)}")
        if remedy:
            yield Text(f"      → {printable(remedy)}")
    counts = {level: sum(finding.level == level for finding in findings) for level in FindingLevel}
    worst = next((level for level in reversed(FindingLevel) if counts[level]), FindingLevel.OK)
    ok_, warnings, failures = counts.values()
    yield Text(f"{ok_:,} checks ok, {warnings:,} warnings, {failures:,} failed.", style=_STYLES[worst])


def _check_model(name: str) -> tuple[Finding, Model | None]:
    """The model, if it can be loaded."""
    try:
        model = load_model(name)
    except TotesysError as error:
        return failed("model", error), None
    return ok("model", f"{name} declares {len(model.sources)} source and {len(model.tables)} warehouse tables."), model


def _option_variables(command: Any) -> Iterator[str]:
    for inner in getattr(command, "commands", {}).values():
        yield from _option_variables(inner)
    yield from (parameter.envvar for parameter in command.params if parameter.envvar)

"""Checks of what is set here: variables, model, Python."""

import sys
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from totesys.errors import TotesysError
from totesys.schema import Model, load_model
from totesys_cli.doctor import judge
from totesys_cli.doctor.finding import Finding, failed, ok

PREFIX = "TOTESYS_"
# Read where nothing declares it: the folder of secrets, and what compose reads.
ELSEWHERE = ("SECRETS_DIR", "SIMULATOR_RATE", "SOURCE_PORT", "WAREHOUSE_PORT", "INGEST_PORTS",
             "TRANSFORM_PORTS", "LOAD_PORTS", "VERSION", "REVISION", "EXTRACT")  # fmt: skip


def check_settings(environment: Mapping[str, str], known: Collection[str]) -> list[Finding]:
    """This machine: its Python, and whether each variable is one that somebody reads."""
    return [
        judge.python_version(sys.version_info[:2]),
        judge.variables(misspelt(environment, {*known, *(PREFIX + name for name in ELSEWHERE)})),
    ]


def misspelt(environment: Mapping[str, str], known: Collection[str]) -> dict[str, str | None]:
    """Each variable that nobody reads, with the known one that it resembles."""
    unread = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(get_close_matches(name, known, 1)), None) for name in unread}


def check_model(name: str) -> tuple[Finding, Model | None]:
    """The model, if it can be loaded."""
    try:
        model = load_model(name)
    except TotesysError as error:
        return failed("model", error), None
    return ok("model", f"{name} declares {len(model.sources)} source and {len(model.tables)} warehouse tables."), model

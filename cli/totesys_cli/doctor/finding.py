"""What a check has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`ok`; `warn`: it works, or it cannot be said; `fail`: it does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What is checked, how it is, in one sentence, and what to do about it."""

    check: str
    level: Level
    sentence: str
    remedy: str = ""


def ok(check: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, sentence)


def warn(check: str, sentence: str, remedy: str) -> Finding:
    """It works, but should be looked at."""
    return Finding(check, Level.WARN, sentence, remedy)


def fail(check: str, sentence: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.FAIL, sentence, remedy)


def failed(check: str, error: Exception) -> Finding:
    """It does not work, as an error of ours says: its last sentence is what to do."""
    said = str(error)
    sentence, _, remedy = said.rstrip(".").rpartition(". ")
    return fail(check, f"{sentence}." if sentence else said, f"{remedy}." if sentence else "")


def unknown(checks: Sequence[str], because: str) -> list[Finding]:
    """Checks that cannot be made."""
    return [warn(check, f"Not checked: {because}.", "Mend that first, and call again.") for check in checks]

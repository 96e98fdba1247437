"""The result of a check."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FindingLevel(StrEnum):
    """`ok`; `warn`: it works with limits, or is unknown; `fail`: it does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The check, its result in one sentence, and what to do."""

    check: str
    level: FindingLevel
    sentence: str
    remedy: str = ""


def ok(check: str, sentence: str) -> Finding:
    """Everything is fine."""
    return Finding(check, FindingLevel.OK, sentence)


def warn(check: str, sentence: str, remedy: str) -> Finding:
    """It works, but needs a look."""
    return Finding(check, FindingLevel.WARN, sentence, remedy)


def fail(check: str, sentence: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, FindingLevel.FAIL, sentence, remedy)


def failed(check: str, error: Exception) -> Finding:
    """It does not work, as one of our errors reports: its last sentence says what to do."""
    text = str(error)
    sentence, _, remedy = text.rstrip(".").rpartition(". ")
    return fail(check, f"{sentence}.", f"{remedy}.") if sentence else fail(check, text, "")


def unknown(checks: Sequence[str], because: str) -> list[Finding]:
    """Checks that cannot be made."""
    return [warn(check, f"Not checked: {because}.", "Fix that first, and call again.") for check in checks]

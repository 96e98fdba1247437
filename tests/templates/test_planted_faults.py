"""Every planted fault is caught by the check that is named for it."""

from pathlib import Path

import pytest

from tests.templates.acknowledged import lines, unacknowledged
from tests.templates.conftest import CAUGHT, Stopwatch
from tests.templates.faults import FAULTS, Fault
from tests.templates.finding import Check, Finding, Tool
from tests.templates.linters import cfn_lint, checkov, cloudformation_validate
from tests.templates.nag import nag_templates
from tests.templates.rules import own_rules
from tests.templates.synthesis import Synthesis

CHECKS: dict[Tool, Check] = {
    "totesys": own_rules,
    "cdk-nag": nag_templates,
    "cfn-lint": cfn_lint,
    "cloudformation-validate": cloudformation_validate,
    "checkov": checkov,
}
PAGE = Path(__file__).parents[2] / "docs" / "infra-checks.md"


@pytest.fixture(scope="module")
def findings(synthesis: Synthesis, stopwatch: Stopwatch) -> list[Finding]:
    """The findings of each tool for its own planted faults that the valid template does not have."""
    new: list[Finding] = []
    for tool, check in CHECKS.items():
        faults = [fault for fault in FAULTS if fault.tool == tool]
        sound = {fault.stack: synthesis.first(fault.stack) for fault in faults}
        planted = [fault.into(sound[fault.stack]) for fault in faults]
        with stopwatch(f"{tool}, {len(planted)} planted faults"):
            said = unacknowledged(check([*sound.values(), *planted]))
        before = {f.wherever for f in said if f.variant == sound[f.stack].variant}
        new += [f for f in said if f.wherever not in before]
    return new


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_is_caught(fault: Fault, findings: list[Finding], request: pytest.FixtureRequest) -> None:
    said = [finding for finding in findings if finding.variant == fault.label]
    named = [finding for finding in said if finding.rule == fault.rule]
    assert named, lines(said)
    request.config.stash.setdefault(CAUGHT, []).append((fault.what, named[0]))


def test_the_page_lists_every_planted_fault() -> None:
    rows = [f"| {fault.what} | {fault.stack} | {fault.tool} `{fault.rule}` |" for fault in FAULTS]
    assert [row for row in rows if row not in PAGE.read_text(encoding="utf-8")] == []

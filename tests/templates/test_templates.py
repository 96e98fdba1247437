"""All templates of all environments pass our own rules and those of four tools."""

from collections.abc import Iterable

import pytest

from tests.templates.acknowledged import ACKNOWLEDGED, lines, stale, unacknowledged
from tests.templates.conftest import Stopwatch
from tests.templates.finding import Check, Finding, Tool
from tests.templates.linters import cfn_lint, checkov, cloudformation_validate
from tests.templates.rules import own_rules
from tests.templates.synthesis import Synthesis

CHECKS: dict[Tool, Check] = {
    "totesys": own_rules,
    "cfn-lint": cfn_lint,
    "cloudformation-validate": cloudformation_validate,
    "checkov": checkov,
}


def assert_all_answered(tool: Tool, findings: Iterable[Finding]) -> None:
    every = list(findings)
    open_findings = unacknowledged(every)
    assert not open_findings, lines(open_findings)
    assert not stale(tool, every), "an acknowledgement in tests/templates/acknowledged.py matches no finding"


def test_cdk_nag_finds_only_what_a_stack_acknowledges(synthesis: Synthesis) -> None:
    assert not synthesis.nag.findings, lines(synthesis.nag.findings)
    assert sorted(set(synthesis.nag.acknowledged) - synthesis.nag.used) == [], "acknowledged, but not found"


@pytest.mark.parametrize("tool", CHECKS)
def test_no_rule_of_a_tool_is_broken(synthesis: Synthesis, stopwatch: Stopwatch, tool: Tool) -> None:
    with stopwatch(f"{tool}, {len(synthesis.templates)} templates"):
        findings = CHECKS[tool](synthesis.templates)
    assert_all_answered(tool, findings)


def test_every_acknowledged_finding_has_a_reason(synthesis: Synthesis) -> None:
    reasons = [*(acknowledgement.reason for acknowledgement in ACKNOWLEDGED), *synthesis.nag.acknowledged.values()]
    assert [reason for reason in reasons if len(reason.split()) < 3] == []

"""cdk-nag: AWS' own rules for a sound design, on an app or on templates that are there."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import AwsSolutionsChecks

from tests.templates.finding import Finding, Template
from totesys_infra.stacks.cdk_app import new_app

# A construct's path, and the id of a finding at it or below.
Acknowledged = tuple[str, str]


@dataclass
class NagReport:
    """What it found, and what is acknowledged, with its reason, and of that what was found."""

    findings: list[Finding] = field(default_factory=list)
    acknowledged: dict[Acknowledged, str] = field(default_factory=dict)
    used: set[Acknowledged] = field(default_factory=set)

    def __iadd__(self, other: "NagReport") -> "NagReport":
        self.findings += other.findings
        self.acknowledged |= other.acknowledged
        self.used |= other.used
        return self


def nag_app(app: cdk.App, folder: Path, labels: Callable[[str], str]) -> NagReport:
    """Synthesise an app into `folder`, with the rule pack AwsSolutions over it; `labels` makes one of a stack's id."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    file = folder / "validation-report.json"
    try:
        app.synth()
    except RuntimeError:
        # Findings end the synthesis, after all is written.
        if not file.exists():
            raise
    (report,) = json.loads(file.read_text())["pluginReports"]
    logical_ids = dict(_metadata(folder, "aws:cdk:logicalId"))
    findings = []
    for violation in report["violations"]:
        for construct in violation["violatingConstructs"]:
            stack, _, inside = construct["constructPath"].partition("/")
            resource = logical_ids.get(construct["constructPath"], inside)
            findings.append(
                Finding("cdk-nag", violation["ruleName"], labels(stack), resource, violation["description"])
            )
    acknowledged = {
        (path, rule): reason
        for path, data in _metadata(folder, "aws:cdk:acknowledged-rules")
        for rule, reason in data.items()
        if rule.startswith("AwsSolutions::")
    }
    used = {(v["acknowledgedAt"], v["acknowledgedId"]) for v in report.get("suppressedViolations", [])}
    return NagReport(findings, acknowledged, used)


def nag_templates(templates: Iterable[Template]) -> list[Finding]:
    """The same rules over templates that are there, all in one app."""
    with tempfile.TemporaryDirectory(prefix="totesys-nag-") as folder:
        app = new_app(Path(folder, "out"))
        refused, labels = [], {}
        for number, template in enumerate(templates):
            file, stack = Path(folder, f"{number}.json"), f"T{number}"
            file.write_text(json.dumps(template.body))
            try:
                CfnInclude(cdk.Stack(app, stack), "It", template_file=str(file))
            except RuntimeError as error:
                refused.append(Finding("cdk-nag", "unreadable", template.label, "", str(error).partition("\n")[0]))
                app.node.try_remove_child(stack)
            labels[stack] = template.label
        return refused + nag_app(app, Path(folder, "out"), labels.__getitem__).findings


def _metadata(folder: Path, kind: str) -> Iterator[tuple[str, Any]]:
    """What the CDK notes of its constructs: path and note."""
    for file in folder.glob("*.metadata.json"):
        for path, entries in json.loads(file.read_text()).items():
            for entry in entries:
                if entry["type"] == kind:
                    yield path.removeprefix("/"), entry["data"]

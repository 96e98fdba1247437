"""cdk-nag: AWS' own rules for a sound design, on an app or on templates that are there."""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import aws_cdk as cdk
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import AwsSolutionsChecks

from tests.templates.finding import Finding, Template
from totesys_infra.stacks.app import new_app


def nag_app(app: cdk.App, folder: Path) -> list[Finding]:
    """Synthesise an app into `folder`, with the rule pack AwsSolutions over it; a finding's label is its stack's id."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    report = folder / "validation-report.json"
    try:
        app.synth()
    except RuntimeError:
        # Findings end the synthesis, after all is written.
        if not report.exists():
            raise
    if not report.exists():
        return []
    logical_ids = _logical_ids(folder)
    findings = []
    for plugin in json.loads(report.read_text())["pluginReports"]:
        # The CDK has validations of its own, which are cloudformation-validate's.
        for violation in plugin["violations"] if plugin["pluginName"] == "AwsSolutions" else ():
            for construct in violation["violatingConstructs"]:
                path = construct["constructPath"]
                stack, _, inside = path.partition("/")
                resource = logical_ids.get(path, inside)
                findings.append(Finding("cdk-nag", violation["ruleName"], stack, resource, violation["description"]))
    return findings


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
        return refused + [finding.relabelled(labels) for finding in nag_app(app, Path(folder, "out"))]


def _logical_ids(folder: Path) -> dict[str, str]:
    """The logical id of each construct that is a resource, by its path."""
    return {
        path.removeprefix("/"): entry["data"]
        for file in folder.glob("*.metadata.json")
        for path, entries in json.loads(file.read_text()).items()
        for entry in entries
        if entry["type"] == "aws:cdk:logicalId"
    }

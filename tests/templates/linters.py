"""The tools that check templates offline: cfn-lint, cloudformation-validate and Checkov."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cfnlint.api import lint
from cfnlint.config import ConfigMixIn, ManualArgs
from cfnlint.runner import Runner
from cloudformation_validate import CompositeEngine, Severity, TemplateContent, ValidateConfig

from tests.templates.finding import Finding, Template

CHECKOV = Path(__file__).parents[2] / "infra" / "checkov" / ".venv" / "bin" / "checkov"


def cfn_lint(templates: Iterable[Template]) -> list[Finding]:
    """Findings against CloudFormation's resource schemas and AWS's limits."""
    config = ManualArgs(regions=["eu-west-2"])
    rules = Runner(ConfigMixIn(**config)).rules
    return [
        Finding("cfn-lint", match.rule.id, template.label, _resource(match.path), match.message)
        for template in templates
        for match in lint(json.dumps(template.body), rules=rules, config=config)
    ]


def _resource(path: list[str | int]) -> str:
    return str(path[1]) if len(path) > 1 and path[0] == "Resources" else ""


def cloudformation_validate(templates: Iterable[Template]) -> list[Finding]:
    """Findings of CloudFormation's own validation, with warnings."""
    engine, config = CompositeEngine(), ValidateConfig(severity_level=Severity.WARN)
    return [
        Finding("cloudformation-validate", found.rule_id, template.label, _entity(found.entity), found.message)
        for template in templates
        for found in engine.validate_template(TemplateContent(json.dumps(template.body)), config).diagnostics
    ]


def _entity(entity: object) -> str:
    return str(getattr(entity, "logical_id", None) or "")


def checkov(templates: Iterable[Template]) -> list[Finding]:
    """Findings of Prisma Cloud's rules for CloudFormation, which come with Checkov; nothing is downloaded."""
    with tempfile.TemporaryDirectory(prefix="totesys-checkov-") as folder:
        for template in templates:
            Path(folder, f"{template.label}.json").write_text(json.dumps(template.body, indent=1))
        command = [str(CHECKOV), "--directory", folder, "--framework", "cloudformation", "--skip-download"]
        # The exit code is 1 with findings; any other code but 0 means that it did not run.
        done = subprocess.run(
            [*command, "--quiet", "--compact", "--output", "json"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LOG_LEVEL": "ERROR"},
        )
    if done.returncode not in (0, 1) or not done.stdout:
        raise AssertionError(f"Checkov ended with {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0, report
    return [
        Finding(
            "checkov",
            check["check_id"],
            Path(check["file_path"]).stem,
            check["resource"].rpartition(".")[2],
            check["check_name"],
        )
        for check in report["results"]["failed_checks"]
    ]

"""Every finding that stays, and why: the one place where any tool's word is not followed."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.templates.finding import Finding, Tool


@dataclass(frozen=True)
class Acknowledgement:
    """A tool's rule that does not hold at `where` (stack/logical id, `*` for any text), for a reason."""

    tool: Tool
    rule: str
    where: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding."""
        return (self.tool, self.rule) == (finding.tool, finding.rule) and fnmatchcase(finding.where, self.where)


_DEPLOYER = "Only CloudFormation has it, for these stacks; each grant in totesys_infra/grants says its own reason."
_BOUNDARY = "A boundary grants nothing: it says what no role of these stacks may have more of."
_OWN_KEY = "It is encrypted with AWS' key; a key of its own costs a dollar a month and guards against nobody else here."
_NO_ACCESS_LOG = "Only roles of this environment may use it, and what they do stands in their logs."
_LOW_STAKES = "What is in it is made again, or asked again: source bundles from git, answers of Athena from the lake."

ACKNOWLEDGED: tuple[Acknowledgement, ...] = (
    # Our own rules.
    Acknowledgement("totesys", "data_is_kept", "data-plane/CodeBucket*", _LOW_STAKES),
    Acknowledgement("totesys", "data_is_kept", "lake/Results*", _LOW_STAKES),
    Acknowledgement(
        "totesys",
        "named_actions",
        "data-plane/AlertsKey*",
        "The account administers its key, as AWS asks; SNS generates data keys by two actions of one name.",
    ),
    Acknowledgement("totesys", "named_actions", "access/*Rights*", _DEPLOYER),
    Acknowledgement("totesys", "named_actions", "access/Boundary*", _BOUNDARY),
    Acknowledgement("totesys", "named_resources", "access/*Rights*", _DEPLOYER),
    Acknowledgement("totesys", "named_resources", "access/Boundary*", _BOUNDARY),
    # cfn-lint.
    Acknowledgement(
        "cfn-lint",
        "W3691",
        "warehouse/Instance*",
        "It lists minor versions. For a major version, RDS takes the default minor version, which does not expire.",
    ),
    # cloudformation-validate.
    Acknowledgement(
        "cloudformation-validate",
        "W9013",
        "watching/Dashboard*",
        "An environment is of one account, which its file names; a dashboard's body is text, made of names.",
    ),
    # Checkov.
    Acknowledgement("checkov", "CKV_AWS_91", "services/HttpBalancer*", "The services log what they are asked."),
    Acknowledgement("checkov", "CKV_AWS_111", "access/Boundary*", _BOUNDARY),
    Acknowledgement("checkov", "CKV_AWS_111", "access/NetworkRights*", _DEPLOYER),
    Acknowledgement("checkov", "CKV_AWS_18", "data-plane/*Bucket*", _NO_ACCESS_LOG),
    Acknowledgement("checkov", "CKV_AWS_18", "lake/Results*", _NO_ACCESS_LOG),
    Acknowledgement(
        "checkov",
        "CKV_AWS_21",
        "data-plane/*Bucket*",
        "A key belongs to one run and is written again with the same bytes only: versions would be copies.",
    ),
    Acknowledgement("checkov", "CKV_AWS_21", "lake/Results*", _LOW_STAKES),
    Acknowledgement(
        "checkov",
        "CKV_AWS_27",
        "data-plane/*",
        "It knows KmsMasterKeyId only; SqsManagedSseEnabled encrypts the queues, which our rule `encrypted` asserts.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_118",
        "warehouse/Instance*",
        "Alarms watch storage and connections, which RDS measures anyway; the machine below costs more to look at.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_65",
        "services/Cluster*",
        "AWS bills the metrics of Container Insights; the free ones of ECS count the tasks as well.",
    ),
    Acknowledgement("checkov", "CKV_AWS_149", "services/TriggerToken*", _OWN_KEY),
    Acknowledgement("checkov", "CKV_AWS_158", "*", _OWN_KEY),
    Acknowledgement(
        "checkov",
        "CKV_AWS_157",
        "warehouse/Instance*",
        "Only the preset high-availability pays for a second zone; without it load waits, and goes on from the lake.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_161",
        "warehouse/Instance*",
        "Load uses the password that RDS makes and rotates; a token of IAM would end after 15 minutes.",
    ),
)


def unacknowledged(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that nobody has answered."""
    return sorted(f for f in set(findings) if not any(a.covers(f) for a in ACKNOWLEDGED))


def lines(findings: Iterable[Finding]) -> str:
    """A line for each finding, with the variants that have it."""
    variants: dict[str, list[str]] = {}
    for finding in findings:
        variants.setdefault(str(finding), []).append(finding.variant)
    return "".join(f"\n{text} ({', '.join(found_in)})" for text, found_in in variants.items())


def stale(tool: Tool, findings: Iterable[Finding]) -> list[Acknowledgement]:
    """The acknowledgements of a tool's findings that it does not make."""
    every = list(findings)
    return [a for a in ACKNOWLEDGED if a.tool == tool and not any(a.covers(f) for f in every)]

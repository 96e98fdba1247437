"""The acknowledged findings of every tool, with reasons."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.templates.finding import Finding, Tool


@dataclass(frozen=True)
class Acknowledgement:
    """An accepted finding of a tool's rule at `where` (stack/logical id; `*` matches any text), with the reason."""

    tool: Tool
    rule: str
    where: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it acknowledges this finding."""
        return (self.tool, self.rule) == (finding.tool, finding.rule) and fnmatchcase(finding.where, self.where)


_DEPLOYER = "Only CloudFormation has it, for these stacks; each statement in totesys_infra/policies has its own reason."
_BOUNDARY = "A boundary grants nothing: it limits the roles of these stacks."
_OWN_KEY = (
    "It is encrypted under AWS's key. A key of our own costs a dollar a month and would protect against nobody else."
)
_NO_ACCESS_LOG = "Only roles of this environment may use it, and they log what they do."
_LOW_STAKES = "Its contents can be recreated: source bundles from git, query results from the lake."

ACKNOWLEDGED: tuple[Acknowledgement, ...] = (
    # Our own rules.
    Acknowledgement("totesys", "data_is_kept", "data-plane/CodeBucket*", _LOW_STAKES),
    Acknowledgement("totesys", "data_is_kept", "lake/Results*", _LOW_STAKES),
    Acknowledgement(
        "totesys",
        "named_actions",
        "data-plane/AlertsKey*",
        "The account administers its key, as AWS requires; SNS generates data keys by two actions with one prefix.",
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
        "An environment belongs to one account, which its file names; the body of a dashboard is text.",
    ),
    # Checkov.
    Acknowledgement("checkov", "CKV_AWS_91", "services/HttpBalancer*", "The services log their requests."),
    Acknowledgement("checkov", "CKV_AWS_111", "access/Boundary*", _BOUNDARY),
    Acknowledgement("checkov", "CKV_AWS_111", "access/NetworkRights*", _DEPLOYER),
    Acknowledgement("checkov", "CKV_AWS_18", "data-plane/*Bucket*", _NO_ACCESS_LOG),
    Acknowledgement("checkov", "CKV_AWS_18", "lake/Results*", _NO_ACCESS_LOG),
    Acknowledgement(
        "checkov",
        "CKV_AWS_21",
        "data-plane/*Bucket*",
        "A key belongs to one run and is only rewritten with the same bytes: versions would be copies.",
    ),
    Acknowledgement("checkov", "CKV_AWS_21", "lake/Results*", _LOW_STAKES),
    Acknowledgement(
        "checkov",
        "CKV_AWS_27",
        "data-plane/*",
        "It knows only KmsMasterKeyId; SqsManagedSseEnabled encrypts the queues, which our rule `encrypted` checks.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_118",
        "warehouse/Instance*",
        "Alarms watch storage and connections, which RDS measures anyway; enhanced monitoring costs extra.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_65",
        "services/Cluster*",
        "AWS bills the metrics of Container Insights; the free ECS metrics also count the tasks.",
    ),
    Acknowledgement("checkov", "CKV_AWS_149", "services/TriggerToken*", _OWN_KEY),
    Acknowledgement("checkov", "CKV_AWS_158", "*", _OWN_KEY),
    Acknowledgement(
        "checkov",
        "CKV_AWS_157",
        "warehouse/Instance*",
        "Only the preset high-availability pays for a standby; otherwise load waits and continues from the lake.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_161",
        "warehouse/Instance*",
        "Load uses the password that RDS creates and rotates; an IAM token would expire after 15 minutes.",
    ),
)


def unacknowledged(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that are not acknowledged."""
    return sorted(f for f in set(findings) if not any(a.covers(f) for a in ACKNOWLEDGED))


def lines(findings: Iterable[Finding]) -> str:
    """A line per finding, with its variants."""
    variants: dict[str, list[str]] = {}
    for finding in findings:
        variants.setdefault(str(finding), []).append(finding.variant)
    return "".join(f"\n{text} ({', '.join(found_in)})" for text, found_in in variants.items())


def stale(tool: Tool, findings: Iterable[Finding]) -> list[Acknowledgement]:
    """The acknowledgements for a tool that match no finding."""
    every = list(findings)
    return [a for a in ACKNOWLEDGED if a.tool == tool and not any(a.covers(f) for f in every)]

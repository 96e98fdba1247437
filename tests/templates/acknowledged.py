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


ACKNOWLEDGED: tuple[Acknowledgement, ...] = (
    # The data plane.
    Acknowledgement(
        "totesys",
        "data_is_kept",
        "data-plane/CodeBucket*",
        "It holds source bundles, which git makes again.",
    ),
    Acknowledgement(
        "cdk-nag",
        "AwsSolutions-S1",
        "data-plane/*Bucket*",
        "Only roles of this environment may use them, and their logs say what they do; access logs need a bucket more.",
    ),
    Acknowledgement(
        "checkov", "CKV_AWS_18", "data-plane/*Bucket*", "The same as AwsSolutions-S1, and so is its reason."
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_21",
        "data-plane/*Bucket*",
        "An object is written once, under a key of its own run; versions would keep what is never overwritten twice.",
    ),
    Acknowledgement(
        "checkov",
        "CKV_AWS_27",
        "data-plane/*",
        "It knows KmsMasterKeyId only; SqsManagedSseEnabled encrypts them, which our rule `encrypted` asserts.",
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

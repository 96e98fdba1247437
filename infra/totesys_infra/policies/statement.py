"""A statement of a policy, and the ARNs that only deployment policies use."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys_infra.names import IMAGES, Names

UNNAMED = "These actions take no resource, or one whose id AWS chooses; limited to this region."
READ_ONLY = "Lists and describes; these actions take no resource."

Conditions = Mapping[str, Mapping[str, str | tuple[str, ...]]]


@dataclass(frozen=True)
class PolicyStatement:
    """A statement of a policy. `reason` says why its wildcards cannot be narrower."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str = "Names begin with the environment's, and CloudFormation chooses the rest."
    conditions: Conditions = field(default_factory=dict)
    allow: bool = True


def verbs(service: str, named: str) -> tuple[str, ...]:
    """Actions of one service, from their names separated by spaces."""
    return tuple(f"{service}:{verb}" for verb in named.split())


def equal(key: str, *texts: str) -> Conditions:
    """A condition: the request's key equals one of these texts."""
    return {"StringEquals": {key: texts[0] if len(texts) == 1 else texts}}


@dataclass(frozen=True)
class Arns:
    """ARNs of an environment that only deployment policies use."""

    names: Names

    def arn(self, service: str, resource: str) -> str:
        """A resource of a service, in the region."""
        return f"arn:{self.names.partition}:{service}:{self.names.region}:{self.names.account}:{resource}"

    def stack(self, of: str) -> str:
        """A stack with any id."""
        return self.arn("cloudformation", f"stack/{self.names.stack(of)}/*")

    @property
    def stacks(self) -> tuple[str, ...]:
        """Every stack."""
        return self.stack("data-plane"), self.stack("*")

    def role(self, of: str) -> str:
        """A role; `*` matches all."""
        return f"arn:{self.names.partition}:iam::{self.names.account}:role/{self.names.name}-{of}"

    @property
    def repositories(self) -> tuple[str, ...]:
        """The images' repositories."""
        return tuple(self.arn("ecr", f"repository/{self.names.repository(image)}") for image in IMAGES)

    @property
    def project(self) -> str:
        """The CodeBuild project."""
        return self.arn("codebuild", f"project/{self.names.build_project}")

    def logs(self, of: str) -> str:
        """A log group."""
        return self.arn("logs", f"log-group:/{self.names.name}/{of}")

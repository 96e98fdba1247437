"""The context of every step of a deployment."""

from collections.abc import Callable
from dataclasses import dataclass

from totesys_infra.deploy.clients import AwsClients
from totesys_infra.environment import Environment
from totesys_infra.names import Names


@dataclass(frozen=True)
class Deployment:
    """An environment, its AWS clients, and where progress is reported."""

    environment: Environment
    aws: AwsClients
    report: Callable[[str], None]
    # Use the caller's permissions even if there is an execution role.
    as_caller: bool = False

    @property
    def names(self) -> Names:
        """The names of the environment's resources."""
        return self.environment.names

    @property
    def execution_role(self) -> str | None:
        """CloudFormation's role; None for the caller's own permissions."""
        limited = self.environment.github_repository is not None and not self.as_caller
        return self.names.execution_role_arn if limited else None

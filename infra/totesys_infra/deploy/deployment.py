"""What every step of a deployment is told."""

from collections.abc import Callable
from dataclasses import dataclass

from totesys_infra.deploy.aws import Aws
from totesys_infra.environment import Environment
from totesys_infra.names import Names


@dataclass(frozen=True)
class Deployment:
    """An environment, where it is, and who is told what happens."""

    environment: Environment
    aws: Aws
    say: Callable[[str], None]
    # With the rights of whoever calls, whatever role there is.
    as_caller: bool = False

    @property
    def names(self) -> Names:
        """What each thing is called."""
        return self.environment.names

    @property
    def execution_role(self) -> str | None:
        """The role that CloudFormation makes the stacks with; None: the caller's own rights."""
        limited = self.environment.github_repository is not None and not self.as_caller
        return self.names.execution_role_arn if limited else None

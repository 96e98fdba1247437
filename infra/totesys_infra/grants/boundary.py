"""The most that a role of the stacks may do, whatever its own policies say."""

from totesys_infra.environment import Environment
from totesys_infra.grants.grant import Arns, Grant


def boundary(environment: Environment) -> tuple[Grant, ...]:
    """The statements of the boundary: no right on rights at all."""
    names = environment.names
    of = Arns(names)
    whole = "A bound, not a grant: each role's own policies name its actions and resources."
    mine = (
        f"arn:{names.partition}:s3:::{names.name}-*",
        names.queue_arn(f"{names.name}-*"),
        *of.repositories,
        of.arn("logs", f"log-group:/{names.name}/*"),
    )
    return (
        Grant("Mine", ("s3:*", "sqs:*", "ecr:*", "logs:*"), mine, whole),
        Grant(
            "Secrets",
            ("secretsmanager:GetSecretValue",),
            (
                *environment.secrets,
                of.arn("secretsmanager", f"secret:{names.name}*"),
                of.arn("secretsmanager", "secret:rds!*"),
            ),
            whole,
        ),
        Grant(
            "Unnamed",
            (
                "ecr:GetAuthorizationToken",
                # For a secret under a key of one's own.
                "kms:Decrypt",
                "logs:Describe*",
            ),
            ("*",),
            whole,
        ),
    )

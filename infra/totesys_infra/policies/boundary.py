"""The permissions boundary: the most that a role of the stacks may do, whatever its policies allow."""

from totesys_infra.environment import Environment
from totesys_infra.policies.statement import Arns, PolicyStatement


def boundary(environment: Environment) -> tuple[PolicyStatement, ...]:
    """The statements of the boundary. It allows nothing on IAM."""
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
        PolicyStatement("Mine", ("s3:*", "sqs:*", "ecr:*", "logs:*"), mine, whole),
        PolicyStatement(
            "Secrets",
            ("secretsmanager:GetSecretValue",),
            (
                *environment.secrets,
                of.arn("secretsmanager", f"secret:{names.name}*"),
                of.arn("secretsmanager", "secret:rds!*"),
            ),
            whole,
        ),
        PolicyStatement(
            "Unnamed",
            (
                "ecr:GetAuthorizationToken",
                # For secrets under customer-managed keys.
                "kms:Decrypt",
                "logs:Describe*",
            ),
            ("*",),
            whole,
        ),
    )

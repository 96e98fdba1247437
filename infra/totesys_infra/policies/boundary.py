"""The permissions boundary: the most that a role of the stacks may do, whatever its policies allow."""

from totesys_infra.environment import Environment
from totesys_infra.policies.statement import Arns, PolicyStatement, equal


def boundary(environment: Environment) -> tuple[PolicyStatement, ...]:
    """The statements of the boundary. On IAM it allows only to run scheduled tasks with their roles."""
    names = environment.names
    of = Arns(names)
    whole = "A bound, not a grant: each role's own policies name its actions and resources."
    mine = (
        f"arn:{names.partition}:s3:::{names.name}-*",
        names.queue_arn(f"{names.name}-*"),
        *of.repositories,
        of.arn("logs", f"log-group:/{names.name}/*"),
    )
    scheduled = (
        PolicyStatement("EachTick", ("ecs:RunTask",), (of.arn("ecs", f"task-definition/{names.name}-*"),), whole),
        PolicyStatement(
            "RunAs",
            ("iam:PassRole",),
            (of.role("*"),),
            whole,
            conditions=equal("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        ),
    )
    parameters = PolicyStatement("Parameters", ("ssm:GetParameters",), environment.parameters, whole)
    sessions = PolicyStatement("Sessions", ("ssmmessages:*",), ("*",), whole)
    return (
        *((sessions,) if environment.exec else ()),
        *(scheduled if environment.preset.scheduled else ()),
        *((parameters,) if environment.parameters else ()),
        PolicyStatement("Mine", ("s3:*", "sqs:*", "ecr:*", "logs:*"), mine, whole),
        PolicyStatement(
            "Secrets",
            ("secretsmanager:GetSecretValue",),
            (
                *(arn for arn in environment.secrets if arn not in environment.parameters),
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

"""The most that a role of the stacks may do, whatever its own policies say."""

from totesys_infra.grants.grant import Arns, Grant
from totesys_infra.names import Names


def boundary(names: Names) -> tuple[Grant, ...]:
    """The statements of the boundary: no right on rights at all."""
    of = Arns(names)
    whole = "A bound, not a grant: each role's own policies name its actions and resources."
    mine = (
        f"arn:{names.partition}:s3:::{names.name}-*",
        names.queue_arn(f"{names.name}-*"),
        f"{names.alerts_arn}",
        *of.repositories,
        of.arn("logs", f"log-group:/{names.name}/*"),
        of.arn("logs", f"log-group:{names.name}*"),
    )
    return (
        Grant("Mine", ("s3:*", "sqs:*", "sns:Publish", "ecr:*", "logs:*"), mine, whole),
        Grant(
            "Unnamed",
            (
                "cloudwatch:PutMetricData",
                "ecr:GetAuthorizationToken",
                "kms:Decrypt",
                "kms:GenerateDataKey*",
                "logs:Describe*",
                "secretsmanager:GetSecretValue",
                "secretsmanager:DescribeSecret",
                "ssmmessages:*",
            ),
            ("*",),
            whole,
        ),
    )

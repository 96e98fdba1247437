"""The roles of a service's tasks: the execution role and the task role."""

from dataclasses import dataclass
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from totesys_infra.names import Image, Names, Service
from totesys_infra.permissions import Permission
from totesys_infra.settings_sections import is_parameter
from totesys_infra.stacks.acknowledged import acknowledge


@dataclass(frozen=True)
class Reads:
    """What ECS reads for the containers of a task, and the logs that it writes. `keys` encrypt some of the secrets."""

    images: tuple[Image, ...]
    logs: tuple[Service | Literal["ops"], ...]
    secrets: tuple[str, ...]
    keys: tuple[str, ...]


def execution_role(scope: Construct, task: str, names: Names, reads: Reads) -> iam.Role:
    """ECS's role: it pulls the images, writes the logs and reads the secrets."""
    here = f"{names.region}:{names.account}"
    repositories = tuple(f"arn:{names.partition}:ecr:{here}:repository/{names.repository(one)}" for one in reads.images)
    streams = tuple(f"arn:{names.partition}:logs:{here}:log-group:{names.log_group(one)}:*" for one in reads.logs)
    pulls = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
    parameters = tuple(secret for secret in reads.secrets if is_parameter(secret))
    stored = tuple(secret for secret in reads.secrets if not is_parameter(secret))
    permissions = [
        Permission(("ecr:GetAuthorizationToken",), ("*",), "a token is for the whole registry"),
        Permission(pulls, repositories, "pulls the image"),
        Permission(("logs:CreateLogStream", "logs:PutLogEvents"), streams, "writes the log"),
        *(Permission(("kms:Decrypt",), (key,), "decrypts a secret") for key in reads.keys),
    ]
    for action, arns in (("secretsmanager:GetSecretValue", stored), ("ssm:GetParameters", parameters)):
        if arns:
            permissions.append(Permission((action,), arns, "puts the secrets into the environment"))
    return _role(scope, f"{task.title()}ExecutionRole", f"ECS, for the tasks of {task}", tuple(permissions))


def task_role(scope: Construct, task: str, permissions: tuple[Permission, ...]) -> iam.Role:
    """The role of the task itself, with the permissions of its services."""
    return _role(scope, f"{task.title()}TaskRole", f"The tasks of {task}", permissions)


def _role(scope: Construct, name: str, description: str, permissions: tuple[Permission, ...]) -> iam.Role:
    role = iam.Role(
        scope,
        name,
        description=description,
        assumed_by=iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com",
            # Only for tasks of this account.
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
        ),
        # Inline, so that no task starts before the role has its permissions.
        inline_policies={"grants": iam.PolicyDocument(statements=[_statement(one) for one in permissions])},
    )
    for one in permissions:
        for resource in one.resources:
            if "*" in resource:
                acknowledge(role, f"IAM5[Resource::{resource}]", one.reason)
    return role


def _statement(grant: Permission) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(grant.actions), resources=list(grant.resources))

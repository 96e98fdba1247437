"""The roles of a service's tasks: the execution role and the task role."""

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from totesys_infra.names import Names, Service
from totesys_infra.permissions import Permission
from totesys_infra.stacks.acknowledged import acknowledge


def execution_role(
    scope: Construct, service: Service, names: Names, secrets: Iterable[str], keys: Iterable[str]
) -> iam.Role:
    """ECS's role: it pulls the image, writes the log and reads the secrets. `keys` encrypt some of them."""
    repository = f"arn:{names.partition}:ecr:{names.region}:{names.account}:repository/{names.repository(service)}"
    log_group = f"arn:{names.partition}:logs:{names.region}:{names.account}:log-group:{names.log_group(service)}"
    pulls = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
    permissions = (
        Permission(("ecr:GetAuthorizationToken",), ("*",), "a token is for the whole registry"),
        Permission(pulls, (repository,), "pulls the image"),
        Permission(("logs:CreateLogStream", "logs:PutLogEvents"), (f"{log_group}:*",), "writes the log"),
        Permission(("secretsmanager:GetSecretValue",), tuple(secrets), "puts the secrets into the environment"),
        *(Permission(("kms:Decrypt",), (key,), "decrypts a secret") for key in keys),
    )
    return _role(scope, f"{service.title()}ExecutionRole", f"ECS, for the tasks of {service}", permissions)


def task_role(scope: Construct, service: Service, permissions: tuple[Permission, ...]) -> iam.Role:
    """The role of the task itself, with the permissions of the service."""
    return _role(scope, f"{service.title()}TaskRole", f"The tasks of {service}", permissions)


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

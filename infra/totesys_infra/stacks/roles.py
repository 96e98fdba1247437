"""The roles of a service: the one that starts its task, and the one that the task has."""

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from totesys_infra.names import Names, Service
from totesys_infra.permissions import Grant
from totesys_infra.stacks.acknowledged import acknowledge


def execution_role(
    scope: Construct, service: Service, names: Names, secrets: Iterable[str], keys: Iterable[str]
) -> iam.Role:
    """ECS's own: it pulls the image, writes the log, and reads the secrets, some of them encrypted under `keys`."""
    repository = f"arn:{names.partition}:ecr:{names.region}:{names.account}:repository/{names.repository(service)}"
    log_group = f"arn:{names.partition}:logs:{names.region}:{names.account}:log-group:{names.log_group(service)}"
    pulls = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
    given = (
        Grant(("ecr:GetAuthorizationToken",), ("*",), "a token is for the whole registry"),
        Grant(pulls, (repository,), "pulls the image"),
        Grant(("logs:CreateLogStream", "logs:PutLogEvents"), (f"{log_group}:*",), "writes the log"),
        Grant(("secretsmanager:GetSecretValue",), tuple(secrets), "puts the secrets into the environment"),
        *(Grant(("kms:Decrypt",), (key,), "decrypts a secret") for key in keys),
    )
    return _role(scope, f"{service.title()}ExecutionRole", f"Starts the tasks of {service}", given)


def task_role(scope: Construct, service: Service, given: tuple[Grant, ...]) -> iam.Role:
    """The task's own, with what the service does in AWS."""
    return _role(scope, f"{service.title()}TaskRole", f"What {service} may do", given)


def _role(scope: Construct, name: str, description: str, given: tuple[Grant, ...]) -> iam.Role:
    role = iam.Role(
        scope,
        name,
        description=description,
        assumed_by=iam.ServicePrincipal(
            "ecs-tasks.amazonaws.com",
            # Of this account alone: not on behalf of another's tasks.
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
        ),
        # In the role itself, so that no task starts before its rights are there.
        inline_policies={"grants": iam.PolicyDocument(statements=[_statement(one) for one in given])},
    )
    for one in given:
        for resource in one.resources:
            if "*" in resource:
                acknowledge(role, f"IAM5[Resource::{resource}]", one.reason)
    return role


def _statement(grant: Grant) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(grant.actions), resources=list(grant.resources))

"""The permissions of the workflow's role."""

from typing import get_args

from totesys_infra.environment import Environment
from totesys_infra.names import PIPELINE, SERVICES, Purpose
from totesys_infra.policies.statement import Arns, PolicyStatement, equal, verbs


def deployer(environment: Environment) -> dict[str, tuple[PolicyStatement, ...]]:
    """The permissions of the workflow's role, by policy."""
    of = Arns(environment.names)
    parameters = environment.parameters
    secrets = tuple(arn for arn in environment.secrets if arn not in parameters)
    exist = (
        PolicyStatement("SecretsExist", ("secretsmanager:DescribeSecret",), secrets),
        PolicyStatement("ParametersExist", ("ssm:GetParameter",), parameters),
    )
    checks = (
        *(one for one in exist if one.resources),
        PolicyStatement("AlertsAreRead", ("sns:ListSubscriptionsByTopic",), (of.names.alerts_arn,)),
        PolicyStatement(
            "DiskSize", ("rds:DescribeDBInstances",), (of.arn("rds", f"db:{of.names.warehouse_instance}"),)
        ),
        PolicyStatement("ServiceRolesExist", ("iam:ListRoles",), ("*",), "Lists roles; the action takes no resource."),
    )
    tasks = _scheduled_tasks(of) if environment.preset.scheduled else ()
    pushes = _pushes(of) if environment.images == "local" else ()
    return {"Deploy": (*_stacks(of), *_images(of), *pushes, *_smoke_test(of), *tasks, *checks)}


def _stacks(of: Arns) -> tuple[PolicyStatement, ...]:
    role = of.names.execution_role_arn
    return (
        PolicyStatement(
            "Plan",
            ("cloudformation:CreateChangeSet",),
            of.stacks,
            conditions=equal("cloudformation:RoleArn", role),
        ),
        PolicyStatement(
            "Stacks",
            verbs(
                "cloudformation",
                "DeleteChangeSet DescribeChangeSet DescribeStackEvents DescribeStacks ExecuteChangeSet GetTemplate",
            ),
            of.stacks,
        ),
        PolicyStatement(
            "NotItself",
            ("cloudformation:*ChangeSet",),
            (of.stack("access"),),
            "A denial is not narrowed.",
            allow=False,
        ),
        PolicyStatement(
            "HandOver",
            ("iam:PassRole",),
            (role,),
            conditions=equal("iam:PassedToService", "cloudformation.amazonaws.com"),
        ),
    )


def _images(of: Arns) -> tuple[PolicyStatement, ...]:
    return (
        PolicyStatement(
            "Code",
            ("s3:GetObject", "s3:PutObject"),
            tuple(of.names.bucket_arn("code", f"{folder}/*") for folder in ("bundles", "releases", "templates")),
            "Keys contain the deployed commit.",
        ),
        PolicyStatement("Images", ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"), of.repositories),
        PolicyStatement("Build", ("codebuild:BatchGetBuilds", "codebuild:StartBuild"), (of.project,)),
        PolicyStatement(
            "BuildLog",
            ("logs:GetLogEvents",),
            (f"{of.logs('build')}:log-stream:*",),
            "CodeBuild names the log streams.",
        ),
    )


def _pushes(of: Arns) -> tuple[PolicyStatement, ...]:
    """The permissions for pushing images built with Docker."""
    return (
        PolicyStatement("RegistryToken", ("ecr:GetAuthorizationToken",), ("*",), "A token is for the whole registry."),
        PolicyStatement(
            "Push",
            verbs("ecr", "BatchCheckLayerAvailability CompleteLayerUpload InitiateLayerUpload UploadLayerPart"),
            of.repositories,
        ),
    )


def _scheduled_tasks(of: Arns) -> tuple[PolicyStatement, ...]:
    """The permissions for starting the scheduled task now, which the smoke test does."""
    return (
        PolicyStatement(
            "StartTask",
            ("ecs:RunTask",),
            (of.arn("ecs", f"task-definition/{of.names.family(PIPELINE)}:*"),),
            "Every revision of one task definition.",
        ),
        PolicyStatement(
            "RunTask",
            ("iam:PassRole",),
            (of.role("services-Pipeline*"),),
            conditions=equal("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        ),
    )


def _smoke_test(of: Arns) -> tuple[PolicyStatement, ...]:
    names = of.names
    buckets: tuple[Purpose, ...] = get_args(Purpose)
    lake: tuple[Purpose, ...] = ("ingest", "processed")
    queues = tuple(queue for one in SERVICES for queue in (names.queue(one), names.dead_letters(one)))
    records = tuple(
        names.bucket_arn(purpose, keys) for purpose in lake for keys in ("run_number.json", "runs/*", "verifications/*")
    )
    return (
        PolicyStatement("Buckets", ("s3:ListBucket",), tuple(map(names.bucket_arn, buckets))),
        PolicyStatement("Records", ("s3:GetObject",), records, "Run and verification records, not their data."),
        PolicyStatement(
            "Wake",
            ("sqs:SendMessage",),
            (names.queue_arn(names.queue("ingest")), names.queue_arn(names.queue("load"))),
        ),
        PolicyStatement("Depths", ("sqs:GetQueueAttributes", "sqs:GetQueueUrl"), tuple(map(names.queue_arn, queues))),
    )

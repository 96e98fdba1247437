"""What the workflow's role may do."""

from typing import get_args

from totesys_infra.environment import Environment
from totesys_infra.grants.grant import Arns, Grant, equal, verbs
from totesys_infra.names import SERVICES, Purpose


def deployer(environment: Environment) -> dict[str, tuple[Grant, ...]]:
    """What the workflow's role may do, by policy."""
    of = Arns(environment.names)
    checks = (
        Grant("SecretsExist", ("secretsmanager:DescribeSecret",), environment.secrets),
        Grant("AlertsAreRead", ("sns:ListSubscriptionsByTopic",), (of.names.alerts_arn,)),
        Grant("ServiceRolesExist", ("iam:ListRoles",), ("*",), "Lists roles; the action takes no resource."),
    )
    pushes = _pushes(of) if environment.images == "local" else ()
    return {"Deploy": (*_stacks(of), *_images(of), *pushes, *_smoke_test(of), *checks)}


def _stacks(of: Arns) -> tuple[Grant, ...]:
    role = of.names.execution_role_arn
    return (
        Grant(
            "Plan",
            ("cloudformation:CreateChangeSet",),
            of.stacks,
            conditions=equal("cloudformation:RoleArn", role),
        ),
        Grant(
            "Stacks",
            verbs(
                "cloudformation",
                "DeleteChangeSet DescribeChangeSet DescribeStackEvents DescribeStacks ExecuteChangeSet GetTemplate",
            ),
            of.stacks,
        ),
        Grant(
            "NotItself",
            ("cloudformation:*ChangeSet",),
            (of.stack("access"),),
            "What is denied is denied whole.",
            allow=False,
        ),
        Grant(
            "HandOver",
            ("iam:PassRole",),
            (role,),
            conditions=equal("iam:PassedToService", "cloudformation.amazonaws.com"),
        ),
    )


def _images(of: Arns) -> tuple[Grant, ...]:
    return (
        Grant(
            "Code",
            ("s3:GetObject", "s3:PutObject"),
            tuple(of.names.bucket_arn("code", f"{folder}/*") for folder in ("bundles", "releases", "templates")),
            "Keys are named by what is deployed.",
        ),
        Grant("Images", ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"), of.repositories),
        Grant("Build", ("codebuild:BatchGetBuilds", "codebuild:StartBuild"), (of.project,)),
        Grant(
            "BuildLog",
            ("logs:GetLogEvents",),
            (f"{of.logs('build')}:log-stream:*",),
            "CodeBuild names the streams.",
        ),
    )


def _pushes(of: Arns) -> tuple[Grant, ...]:
    """Pushing images that were built with Docker."""
    return (
        Grant("RegistryToken", ("ecr:GetAuthorizationToken",), ("*",), "A token is for the whole registry."),
        Grant(
            "Push",
            verbs("ecr", "BatchCheckLayerAvailability CompleteLayerUpload InitiateLayerUpload UploadLayerPart"),
            of.repositories,
        ),
    )


def _smoke_test(of: Arns) -> tuple[Grant, ...]:
    names = of.names
    buckets: tuple[Purpose, ...] = get_args(Purpose)
    lake: tuple[Purpose, ...] = ("ingest", "processed")
    queues = tuple(queue for one in SERVICES for queue in (names.queue(one), names.dead_letters(one)))
    records = tuple(
        names.bucket_arn(purpose, keys) for purpose in lake for keys in ("run_number.json", "runs/*", "verifications/*")
    )
    return (
        Grant("Buckets", ("s3:ListBucket",), tuple(map(names.bucket_arn, buckets))),
        Grant("Records", ("s3:GetObject",), records, "The records of runs and verifications, and none of their data."),
        Grant(
            "Wake",
            ("sqs:SendMessage",),
            (names.queue_arn(names.queue("ingest")), names.queue_arn(names.queue("load"))),
        ),
        Grant("Depths", ("sqs:GetQueueAttributes", "sqs:GetQueueUrl"), tuple(map(names.queue_arn, queues))),
    )

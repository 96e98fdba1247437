"""What the workflow's role may do."""

from totesys_infra.environment import Environment
from totesys_infra.grants.grant import Arns, Grant, equal
from totesys_infra.names import SERVICES


def deployer(environment: Environment) -> dict[str, tuple[Grant, ...]]:
    """What the workflow's role may do, by policy."""
    names = environment.names
    of = Arns(names)
    code = names.bucket_arn("code")
    queues = tuple(names.queue_arn(queue) for one in SERVICES for queue in (names.queue(one), names.dead_letters(one)))
    lake = tuple(
        names.bucket_arn(purpose, keys)
        for purpose in ("ingest", "processed")
        for keys in ("run_number.json", "runs/*", "verifications/*")
    )
    return {
        "Deploy": (
            Grant(
                "Plan",
                ("cloudformation:CreateChangeSet",),
                of.stacks,
                conditions=equal("cloudformation:RoleArn", names.execution_role_arn),
            ),
            Grant(
                "Stacks",
                tuple(
                    f"cloudformation:{verb}"
                    for verb in (
                        "DeleteChangeSet",
                        "DescribeChangeSet",
                        "DescribeStackEvents",
                        "DescribeStacks",
                        "ExecuteChangeSet",
                        "GetTemplate",
                    )
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
                (names.execution_role_arn,),
                conditions=equal("iam:PassedToService", "cloudformation.amazonaws.com"),
            ),
            Grant(
                "Code",
                ("s3:GetObject", "s3:PutObject"),
                tuple(f"{code}/{folder}/*" for folder in ("bundles", "releases", "templates")),
                "Keys are named by what is deployed.",
            ),
            Grant("Buckets", ("s3:ListBucket",), (code, names.bucket_arn("ingest"), names.bucket_arn("processed"))),
            Grant("Records", ("s3:GetObject",), lake, "The records of runs and verifications, and none of their data."),
            Grant(
                "Wake",
                ("sqs:SendMessage",),
                (names.queue_arn(names.queue("ingest")), names.queue_arn(names.queue("load"))),
            ),
            Grant("Depths", ("sqs:GetQueueAttributes", "sqs:GetQueueUrl"), queues),
            Grant("Images", ("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"), of.repositories),
            Grant("Build", ("codebuild:BatchGetBuilds", "codebuild:StartBuild"), (of.project,)),
            Grant(
                "BuildLog",
                ("logs:GetLogEvents",),
                (f"{of.logs('build')}:log-stream:*",),
                "CodeBuild names the streams.",
            ),
            Grant("SecretsAreThere", ("secretsmanager:DescribeSecret",), environment.secrets),
        )
    }

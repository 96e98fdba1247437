"""The image repositories, and the CodeBuild project that builds images from a bundle in the code bucket."""

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.names import DEPLOYED_PREFIX, IMAGES, PYTHON_IMAGE, Image, Names

BUILD_IMAGE = "aws/codebuild/amazonlinux-aarch64-standard:3.0"
BUNDLES = "bundles/*"

_MAKE_ONE = """
repository="$REGISTRY/$NAME/$service"
if aws ecr describe-images --repository-name "$NAME/$service" --image-ids "imageTag=$REVISION" >/dev/null 2>&1; then
  echo "$repository:$REVISION is there"
else
  docker build --file services/Dockerfile --tag "$repository:$REVISION" \\
    --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --build-arg "SERVICE=$service" \\
    --build-arg "VERSION=$VERSION" --build-arg "REVISION=$REVISION" \\
    --build-arg "MODEL=$MODEL" . &&
  docker push "$repository:$REVISION"
fi
"""
BUILDSPEC: dict[str, Any] = {
    "version": 0.2,
    "env": {"shell": "bash"},
    "phases": {
        "pre_build": {
            "commands": [
                'test -n "$REVISION"',
                'aws s3 cp --no-progress "s3://$CODE_BUCKET/bundles/$REVISION.zip" bundle.zip',
                "unzip -q bundle.zip -d source",
                'aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY"',
            ]
        },
        "build": {"commands": ["cd source", *(f"service={service}{_MAKE_ONE}" for service in IMAGES)]},
    },
}


class ImagesStack(cdk.Stack):
    """Four ECR repositories and a CodeBuild project."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            description="totesys build: the image repositories, and the project that builds the images",
            analytics_reporting=False,
        )
        names = environment.names
        kept = environment.preset.images_kept
        repositories = [self._repository(names, service, kept) for service in IMAGES]
        group = logs.CfnLogGroup(
            self, "Logs", log_group_name=names.build_log_group, retention_in_days=environment.log_days
        )
        self._project(names, environment.model, self._role(names, group, repositories), group)

    def _repository(self, names: Names, service: Image, kept: int) -> ecr.Repository:
        return ecr.Repository(
            self,
            f"{service.title()}Images",
            repository_name=names.repository(service),
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            # Under AWS's own ECR key, which needs no permission to pull.
            encryption=ecr.RepositoryEncryption.KMS,
            # Any image can be built again from its commit.
            removal_policy=cdk.RemovalPolicy.DESTROY,
            empty_on_delete=True,
            lifecycle_rules=[
                # An image that an earlier rule matches is safe from later rules, whether or not it expires.
                ecr.LifecycleRule(
                    rule_priority=1,
                    description="Deployed images, newest first",
                    tag_status=ecr.TagStatus.TAGGED,
                    tag_prefix_list=[DEPLOYED_PREFIX],
                    max_image_count=kept,
                ),
                ecr.LifecycleRule(
                    rule_priority=2,
                    description="Images that were only built",
                    tag_status=ecr.TagStatus.ANY,
                    max_image_count=kept // 2,
                ),
            ],
        )

    def _role(self, names: Names, group: logs.CfnLogGroup, repositories: list[ecr.Repository]) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "codebuild.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnEquals": {"aws:SourceArn": self._project_arn(names)},
                },
            ),
            description="Builds the images",
        )
        statements = [
            (["s3:GetObject"], [names.bucket_arn("code", BUNDLES)]),
            (["logs:CreateLogStream", "logs:PutLogEvents"], [group.attr_arn]),
            # The token is for all repositories; the next statement limits its use.
            (["ecr:GetAuthorizationToken"], ["*"]),
            (
                [
                    "ecr:BatchCheckLayerAvailability",
                    # A push reads the existing manifest of its tag.
                    "ecr:BatchGetImage",
                    "ecr:CompleteLayerUpload",
                    "ecr:DescribeImages",
                    "ecr:InitiateLayerUpload",
                    "ecr:PutImage",
                    "ecr:UploadLayerPart",
                ],
                [repository.repository_arn for repository in repositories],
            ),
        ]
        for actions, resources in statements:
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        cdk.Validations.of(role).acknowledge(
            *(
                cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-IAM5[Resource::{resource}]", reason=reason)
                for resource, reason in (
                    (
                        "*",
                        "ecr:GetAuthorizationToken takes no resource; pushing is limited to these repositories.",
                    ),
                    (names.bucket_arn("code", BUNDLES), "Bundles are named by commits that do not exist yet."),
                )
            )
        )
        return role

    def _project(self, names: Names, model: str, role: iam.Role, group: logs.CfnLogGroup) -> None:
        variables = {
            "CODE_BUCKET": names.bucket("code"),
            "NAME": names.name,
            "REGISTRY": f"{names.account}.dkr.ecr.{names.region}.{self.url_suffix}",
            "PYTHON_IMAGE": PYTHON_IMAGE,
            "MODEL": model,
            # Overridden for each build.
            "REVISION": "",
            "VERSION": "",
        }
        project = codebuild.CfnProject(
            self,
            "Project",
            name=names.build_project,
            description="Builds the images of a commit from its bundle in the code bucket",
            service_role=role.role_arn,
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            source=codebuild.CfnProject.SourceProperty(type="NO_SOURCE", build_spec=json.dumps(BUILDSPEC)),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="ARM_CONTAINER",
                compute_type="BUILD_GENERAL1_SMALL",
                image=BUILD_IMAGE,
                # Docker needs it. The build runs only our own commits.
                privileged_mode=True,
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in variables.items()
                ],
            ),
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=group.ref
                )
            ),
            encryption_key=f"arn:{self.partition}:kms:{self.region}:{self.account}:alias/aws/s3",
            timeout_in_minutes=30,
            queued_timeout_in_minutes=30,
        )
        # A build fails if it starts before its role has its permissions.
        project.node.add_dependency(role.node.find_child("DefaultPolicy"))

    def _project_arn(self, names: Names) -> str:
        return f"arn:{names.partition}:codebuild:{names.region}:{names.account}:project/{names.build_project}"

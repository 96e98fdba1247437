"""The stacks of the images and of the roles for deploying."""

import json
import re
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks

from totesys_infra.environment import Environment
from totesys_infra.environment_file import FOLDER, read_environment
from totesys_infra.names import IMAGES, STACKS
from totesys_infra.stacks.access_stack import AccessStack
from totesys_infra.stacks.cdk_app import new_app, synthesise
from totesys_infra.stacks.images_stack import BUILDSPEC, ImagesStack

REPOSITORY = "acme/totesys"
# A managed policy, in characters without white space.
LARGEST_POLICY = 6_144
DOCKERFILE = Path(__file__).parents[2] / "services" / "Dockerfile"

Template = dict[str, Any]


@pytest.fixture(scope="module")
def environment() -> Environment:
    github = {"github_repository": REPOSITORY, "github_owner_id": 123456, "github_repository_id": 456789}
    return read_environment(FOLDER / "example.toml").model_copy(update=github)


@pytest.fixture(scope="module")
def templates(environment: Environment) -> Iterator[tuple[Template, Template]]:
    """Both stacks, synthesised with cdk-nag, which raises on findings."""
    with tempfile.TemporaryDirectory() as folder:
        app = new_app(Path(folder), environment.names.boundary)
        ImagesStack(app, "build", environment)
        AccessStack(app, "access", environment, REPOSITORY)
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        assembly = app.synth()
        yield assembly.get_stack_by_name("build").template, assembly.get_stack_by_name("access").template


@pytest.fixture(scope="module")
def build(templates: tuple[Template, Template]) -> Template:
    return templates[0]


@pytest.fixture(scope="module")
def access(templates: tuple[Template, Template]) -> Template:
    return templates[1]


def of_type(template: Template, kind: str) -> list[dict[str, Any]]:
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]


def test_an_image_is_never_overwritten_is_scanned_and_is_kept_while_it_is_deployed(
    build: Template, environment: Environment
) -> None:
    repositories = of_type(build, "AWS::ECR::Repository")
    assert {one["RepositoryName"] for one in repositories} == {environment.names.repository(one) for one in IMAGES}
    for repository in repositories:
        assert repository["ImageTagMutability"] == "IMMUTABLE"
        assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository["EncryptionConfiguration"] == {"EncryptionType": "KMS"}
        deployed, others = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        # No later rule expires an image that the first rule matches.
        assert deployed["rulePriority"] < others["rulePriority"]
        assert deployed["selection"]["tagPrefixList"] == ["deployed-"]
        assert (deployed["selection"]["countNumber"], others["selection"]["countNumber"]) == (5, 2)


def test_the_project_builds_each_service_with_the_arguments_of_the_dockerfile(build: Template) -> None:
    (project,) = of_type(build, "AWS::CodeBuild::Project")
    assert project["Source"] == {"Type": "NO_SOURCE", "BuildSpec": json.dumps(BUILDSPEC)}
    assert project["Environment"]["Type"] == "ARM_CONTAINER"
    given = {variable["Name"] for variable in project["Environment"]["EnvironmentVariables"]}
    script = "\n".join(line for phase in BUILDSPEC["phases"].values() for line in phase["commands"])
    assert set(re.findall(r"\$([A-Z_]+)", script)) == given
    for service in IMAGES:
        assert f"service={service}\n" in script
    declared = set(re.findall(r"^ARG (\w+)", DOCKERFILE.read_text(), re.MULTILINE))
    assert set(re.findall(r'--build-arg "(\w+)=', script)) <= declared
    assert of_type(build, "AWS::Logs::LogGroup")[0]["RetentionInDays"] == 30


def test_a_build_has_exactly_the_permissions_it_uses(build: Template, environment: Environment) -> None:
    (policy,) = of_type(build, "AWS::IAM::Policy")
    allowed = {
        action
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert allowed == {
        "s3:GetObject",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:DescribeImages",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    }
    (role,) = of_type(build, "AWS::IAM::Role")
    assert environment.names.boundary in json.dumps(role["PermissionsBoundary"])


def test_only_that_environment_of_that_repository_may_deploy(access: Template, environment: Environment) -> None:
    (role,) = (one for one in of_type(access, "AWS::IAM::Role") if one["RoleName"] == environment.names.deploy_role)
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": [
                f"repo:acme/totesys:environment:{environment.name}",
                f"repo:acme@123456/totesys@456789:environment:{environment.name}",
            ],
        }
    }


def test_without_ids_only_the_subject_that_names_the_repository_is_trusted(environment: Environment) -> None:
    by_name = environment.model_copy(update={"github_owner_id": None, "github_repository_id": None})
    assert by_name.github_subjects == (f"repo:acme/totesys:environment:{environment.name}",)


def statements(access: Template, part: str) -> list[dict[str, Any]]:
    (policy,) = (one for one in of_type(access, "AWS::IAM::ManagedPolicy") if one["ManagedPolicyName"].endswith(part))
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_deployers_cannot_escalate_their_own_privileges(access: Template, environment: Environment) -> None:
    names = environment.names
    (deny,) = (one for one in statements(access, "-roles") if one["Effect"] == "Deny")
    assert deny["Action"] == "iam:*"
    assert {names.execution_role_arn, names.boundary_arn} <= set(deny["Resource"])
    for statement in statements(access, "-roles"):
        if statement["Effect"] == "Allow" and {"iam:CreateRole", "iam:PutRolePolicy"} & set(
            listed(statement["Action"])
        ):
            assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": names.boundary_arn}}
    bound = [action for one in statements(access, "-boundary") for action in listed(one["Action"])]
    assert not [action for action in bound if fnmatch("iam:CreateRole", action) or fnmatch("sts:AssumeRole", action)]
    (plan,) = (one for one in statements(access, "-deploy") if one["Action"] == "cloudformation:CreateChangeSet")
    assert plan["Condition"] == {"StringEquals": {"cloudformation:RoleArn": names.execution_role_arn}}


def test_no_policy_is_larger_than_iam_takes(access: Template) -> None:
    policies = of_type(access, "AWS::IAM::ManagedPolicy")
    assert len(policies) == 8
    for policy in policies:
        assert len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) < LARGEST_POLICY


def test_stacks_are_deployed_in_the_declared_order(environment: Environment) -> None:
    names = [environment.names.stack(of) for of in ("access", *STACKS)]
    assert list(synthesise(environment)) == names

"""The AWS clients of a deployment, all in the environment's region."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from totesys_infra.deploy.failures import DeployRefused

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient


@dataclass(frozen=True)
class AwsClients:
    """Clients of one region. Credentials and endpoints come from AWS's own settings."""

    region: str
    _session: boto3.Session = field(default_factory=boto3.Session)

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """Stacks."""
        return self._session.client("cloudformation", region_name=self.region)

    @cached_property
    def codebuild(self) -> "CodeBuildClient":
        """Builds of the images."""
        return self._session.client("codebuild", region_name=self.region)

    @cached_property
    def ecr(self) -> "ECRClient":
        """The images."""
        return self._session.client("ecr", region_name=self.region)

    @cached_property
    def ecs(self) -> "ECSClient":
        """One-off tasks."""
        return self._session.client("ecs", region_name=self.region)

    @cached_property
    def iam(self) -> "IAMClient":
        """The roles of AWS's own services."""
        return self._session.client("iam", region_name=self.region)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """The build log."""
        return self._session.client("logs", region_name=self.region)

    @cached_property
    def rds(self) -> "RDSClient":
        """The warehouse's instance and its snapshots."""
        return self._session.client("rds", region_name=self.region)

    @cached_property
    def s3(self) -> "S3Client":
        """Bundles, templates, and the lake."""
        return self._session.client("s3", region_name=self.region)

    @cached_property
    def secrets(self) -> "SecretsManagerClient":
        """The secrets' metadata; their values are never read."""
        return self._session.client("secretsmanager", region_name=self.region)

    @cached_property
    def sns(self) -> "SNSClient":
        """The topic of alerts."""
        return self._session.client("sns", region_name=self.region)

    @cached_property
    def sqs(self) -> "SQSClient":
        """The services' queues."""
        return self._session.client("sqs", region_name=self.region)

    @cached_property
    def ssm(self) -> "SSMClient":
        """The parameters that hold secrets; their values are never read."""
        return self._session.client("ssm", region_name=self.region)

    @cached_property
    def sts(self) -> "STSClient":
        """The caller's identity."""
        return self._session.client("sts", region_name=self.region)

    def close(self) -> None:
        """Close all clients."""
        for name in [name for name in vars(self) if name not in ("region", "_session")]:
            vars(self).pop(name).close()


def code(error: ClientError) -> str:
    """The AWS code of an error, such as `AccessDenied` or `404`."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def aws_errors() -> Iterator[None]:
    """Turn an uncaught AWS error into DeployRefused, with advice."""
    try:
        yield
    except ClientError as error:
        advice = "Try again."
        if "AccessDenied" in code(error) or "UnauthorizedOperation" in code(error):
            advice = "docs/deployment.md lists the permissions that deploying needs."
        elif "ExpiredToken" in code(error) or "InvalidClientToken" in code(error):
            advice = "Sign in again."
        raise DeployRefused(f"AWS refused {error.operation_name}: {error}. {advice}") from error
    except BotoCoreError as error:
        raise DeployRefused(
            f"AWS cannot be reached: {str(error).rstrip('.')}. Sign in or set AWS_PROFILE, and check the network."
        ) from error

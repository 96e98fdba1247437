"""The names of an environment's resources: the contract between its stacks, services and operators."""

from dataclasses import dataclass
from typing import Literal

from totesys.stage_names import STAGES, Stage

Service = Stage
SERVICES = STAGES
# What has an image: the services, and the command.
Image = Service | Literal["cli"]
IMAGES: tuple[Image, ...] = (*SERVICES, "cli")
# The one-off task in which the command runs.
OPS: Literal["ops"] = "ops"
# The task that runs all of them, where a preset has one.
PIPELINE = "pipeline"
# The stacks in the order of deployment, without `access`, which an administrator deploys.
STACKS = ("data-plane", "network", "build", "warehouse", "services", "watching", "lake")
Purpose = Literal["ingest", "processed", "code", "queries"]
# As in the Dockerfile, but from a registry without Docker Hub's limits.
PYTHON_IMAGE = "public.ecr.aws/docker/library/python:3.13-slim"
APP = "totesys"
TAG_APP, TAG_ENVIRONMENT = "app", "environment"
# The prefix of the second tag of deployed images.
DEPLOYED_PREFIX = "deployed-"


@dataclass(frozen=True)
class Names:
    """The names of the environment `name` in an account and a region, and their ARNs."""

    name: str
    account: str
    region: str
    partition: str = "aws"

    def stack(self, of: str) -> str:
        """A stack's name: `{name}` for the data plane, `{name}-{of}` for the others."""
        return self.name if of == "data-plane" else f"{self.name}-{of}"

    def bucket(self, purpose: Purpose) -> str:
        """A bucket's name."""
        return f"{self.name}-{purpose}"

    def bucket_arn(self, purpose: Purpose, keys: str | None = None) -> str:
        """A bucket's ARN; with `keys` (a pattern such as `runs/*`), that of its objects."""
        arn = f"arn:{self.partition}:s3:::{self.bucket(purpose)}"
        return arn if keys is None else f"{arn}/{keys}"

    def queue(self, service: Service) -> str:
        """The name of a service's queue."""
        return f"{self.name}-{service}"

    def dead_letters(self, service: Service) -> str:
        """The name of a service's dead-letter queue."""
        return f"{self.queue(service)}-dlq"

    def queue_arn(self, queue: str) -> str:
        """A queue's ARN, by its name."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{queue}"

    def queue_url(self, queue: str) -> str:
        """A queue's URL, by its name."""
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{queue}"

    @property
    def alerts(self) -> str:
        """The name of the alarms' topic."""
        return f"{self.name}-alerts"

    @property
    def alerts_arn(self) -> str:
        """The ARN of that topic."""
        return f"arn:{self.partition}:sns:{self.region}:{self.account}:{self.alerts}"

    @property
    def metrics_namespace(self) -> str:
        """The CloudWatch namespace of the services' metrics."""
        return self.name

    def log_group(self, service: Service | Literal["ops"]) -> str:
        """The log group of a service, or of the command."""
        return f"/{self.name}/{service}"

    def repository(self, image: Image) -> str:
        """The ECR repository of the images of a service or the command."""
        return f"{self.name}/{image}"

    def family(self, task: str) -> str:
        """The family of a task's definitions."""
        return f"{self.name}-{task}"

    @property
    def cluster(self) -> str:
        """The ECS cluster; its services have the names in `Service`."""
        return self.name

    @property
    def build_project(self) -> str:
        """The CodeBuild project that builds the images."""
        return f"{self.name}-build"

    @property
    def build_log_group(self) -> str:
        """The log group of the builds."""
        return f"/{self.name}/build"

    @property
    def deploy_role(self) -> str:
        """The role of the repository's workflow."""
        return f"{self.name}-deploy"

    @property
    def execution_role(self) -> str:
        """The role that CloudFormation uses for the stacks."""
        return f"{self.name}-cloudformation"

    @property
    def execution_role_arn(self) -> str:
        """The ARN of that role."""
        return f"arn:{self.partition}:iam::{self.account}:role/{self.execution_role}"

    @property
    def boundary(self) -> str:
        """The managed policy that is the permissions boundary of every role of the stacks."""
        return f"{self.name}-boundary"

    @property
    def boundary_arn(self) -> str:
        """The ARN of that policy."""
        return f"arn:{self.partition}:iam::{self.account}:policy/{self.boundary}"

    @property
    def trigger_token(self) -> str:
        """The secret whose value authorizes triggers over HTTP."""
        return f"{self.name}/trigger-token"

    @property
    def warehouse_instance(self) -> str:
        """The identifier of the RDS instance, unless the environment names an existing warehouse."""
        return f"{self.name}-warehouse"

    @property
    def glue_database(self) -> str:
        """The Glue database of the lake's tables. It has no hyphens, which SQL would have to quote."""
        return self.name.replace("-", "_")

"""A deployment on the emulator."""

import json

from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import REGION
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra import data_plane_template
from totesys_infra.deploy.clients import AwsClients
from totesys_infra.deploy.cloudformation import describe, parameters
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.template import StackTemplate, stack_template, values
from totesys_infra.environment import Environment
from totesys_infra.names import IMAGES, SERVICES, Purpose

ACCOUNT = "000000000000"


class Place:
    """A deployment on the emulator, with its reports."""

    def __init__(self, aws: AwsClients, name: str) -> None:
        self.told: list[str] = []
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-source-AbCdEf"
        self.environment = Environment.model_validate(
            {
                "name": name,
                "account": ACCOUNT,
                "region": REGION,
                "alert_email": "data@example.com",
                "source": {"secret": secret},
                "schedules": {"tick": "rate(7 minutes)"},
            }
        )
        self.deployment = Deployment(self.environment, aws, self.told.append)

    @property
    def text(self) -> str:
        return "\n".join(self.told)

    def template(self, image_tag: str = "any", **changed: str) -> StackTemplate:
        """The data plane, with its parameters."""
        known = {**values(self.environment, image_tag), **changed}
        return stack_template(self.environment.name, json.loads(data_plane_template()), known)

    def services(self, image_tag: str, seconds: int = 60) -> StackTemplate:
        """A stack with the parameter of the images' tag, and an unrelated resource."""
        queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}}
        content = {"Parameters": {"ImageTag": {"Type": "String"}}, "Resources": {"Queue": queue}}
        return stack_template(self.environment.names.stack("services"), content, values(self.environment, image_tag))

    def warehouse(self, gib: int) -> StackTemplate:
        """The stack of the warehouse, with little more than its disk."""
        properties = {
            "DBInstanceIdentifier": self.environment.names.warehouse_instance,
            "DBInstanceClass": "db.t4g.micro",
            "AllocatedStorage": str(gib),
            "Engine": "postgres",
            "MasterUsername": "totesys",
            "MasterUserPassword": "only-for-the-emulator",
        }
        content = {"Resources": {"Instance": {"Type": "AWS::RDS::DBInstance", "Properties": properties}}}
        return stack_template(self.environment.names.stack("warehouse"), content, {})

    def outputs(self) -> dict[str, str]:
        stack = describe(self.deployment, self.environment.name)
        assert stack is not None
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def plane(self, emulator: Emulator) -> LocalDataPlane:
        out = self.outputs()
        urls = {
            f"{service}_{kind}_url": out[f"{service.title()}{kind.title()}Url"]
            for service in SERVICES
            for kind in ("queue", "dlq")
        }
        buckets = {f"{one}_bucket": out[f"{one.title()}Bucket"] for one in ("ingest", "processed", "code")}
        return LocalDataPlane(
            endpoint_url=emulator.endpoint_url, credentials=emulator.credentials, region=REGION, **buckets, **urls
        )

    def contents(self, purpose: Purpose) -> list[str]:
        """The keys in a bucket."""
        answered = self.deployment.aws.s3.list_objects_v2(Bucket=self.deployment.names.bucket(purpose))
        return [found["Key"] for found in answered.get("Contents", [])]

    def with_images(self, *revisions: str) -> None:
        """Create the repositories with an image of each revision."""
        ecr = self.deployment.aws.ecr
        for image in IMAGES:
            repository = self.deployment.names.repository(image)
            ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
            for revision in revisions:
                manifest = json.dumps({"schemaVersion": 2, "config": {"digest": f"{image} {revision}"}})
                ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=revision)

    @property
    def image_tag(self) -> str:
        """The deployed image tag."""
        stack = describe(self.deployment, self.deployment.names.stack("services"))
        assert stack is not None
        return parameters(stack)["ImageTag"]

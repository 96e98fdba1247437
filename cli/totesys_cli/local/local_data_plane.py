"""The data plane in the emulator: CloudFormation creates or updates it from its template."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.emulator_access import REGION, Credentials

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef
    from mypy_boto3_s3 import S3Client

_SECONDS = 30.0
_POLL_SECONDS = 0.005
_BUCKET = "AWS::S3::Bucket"


@dataclass(frozen=True)
class LocalDataPlane:
    """The addresses of a local stack's buckets and queues."""

    endpoint_url: str
    credentials: Credentials
    region: str
    ingest_bucket: str
    processed_bucket: str
    code_bucket: str
    ingest_queue_url: str
    transform_queue_url: str
    load_queue_url: str
    ingest_dlq_url: str
    transform_dlq_url: str
    load_dlq_url: str
    lakehouse_queue_url: str = ""
    lakehouse_dlq_url: str = ""

    def environment(self) -> dict[str, str]:
        """The variables that point an AWS client at this data plane."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **self.credentials.environment(),
        }


def make_data_plane(
    cloudformation: "CloudFormationClient",
    s3: "S3Client",
    endpoint_url: str,
    credentials: Credentials,
    template: str,
    name: str,
    schedule: str | None,
    *,
    lakehouse: bool = False,
) -> LocalDataPlane:
    """Create the stack `name` in the emulator at `endpoint_url`, or update it.

    `schedule` is the expression of the tick that triggers ingest, such as `rate(5 minutes)` (at least a minute); None:
    no tick. With `lakehouse`, commits trigger the lakehouse, too. Existing buckets, with their objects, become the
    stack's. Raises LocalStackError if CloudFormation refuses the template or fails.
    """
    outputs = _apply(cloudformation, s3, template, name, schedule, lakehouse=lakehouse)
    stages = ("ingest", "transform", "load")
    return LocalDataPlane(
        endpoint_url,
        credentials,
        REGION,
        *(outputs[f"{kind}Bucket"] for kind in ("Ingest", "Processed", "Code")),
        *(outputs[f"{stage.capitalize()}QueueUrl"] for stage in stages),
        *(outputs[f"{stage.capitalize()}DlqUrl"] for stage in stages),
        # Only a stack with a lakehouse has these.
        *(outputs.get(f"Lakehouse{kind}Url", "") for kind in ("Queue", "Dlq")),
    )


def _apply(
    cloudformation: "CloudFormationClient",
    s3: "S3Client",
    template: str,
    name: str,
    schedule: str | None,
    *,
    lakehouse: bool,
) -> dict[str, str]:
    """Create or update the stack; its outputs."""
    parameters: list[ParameterTypeDef] = [
        {"ParameterKey": "Name", "ParameterValue": name},
        {"ParameterKey": "ScheduleState", "ParameterValue": "ENABLED" if schedule else "DISABLED"},
        {"ParameterKey": "Lakehouse", "ParameterValue": str(lakehouse).lower()},
    ]
    if schedule:
        parameters.append({"ParameterKey": "Schedule", "ParameterValue": schedule})
    try:
        if _describe(cloudformation, name) is None and not _adopt(cloudformation, s3, template, name):
            cloudformation.create_stack(StackName=name, TemplateBody=template, Parameters=parameters)
        else:
            _update(cloudformation, name, template, parameters)
        stack = _wait(cloudformation, name)
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise LocalStackError(
            f"The emulator cannot create the data plane {name}: {' '.join(str(error).split()).rstrip('.')}. Check "
            "--endpoint."
        ) from error
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _update(
    cloudformation: "CloudFormationClient", name: str, template: str, parameters: "list[ParameterTypeDef]"
) -> None:
    try:
        cloudformation.update_stack(StackName=name, TemplateBody=template, Parameters=parameters)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise


def _adopt(cloudformation: "CloudFormationClient", s3: "S3Client", template: str, name: str) -> bool:
    """Create the stack from the existing buckets; False if there are none.

    CloudFormation refuses to create a bucket that exists. It can import such buckets into a stack, but then creates
    nothing else: an update adds the rest.
    """
    body = json.loads(template)
    present = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    buckets = {
        logical_id: bucket_name
        for logical_id, resource in body["Resources"].items()
        if resource["Type"] == _BUCKET
        and (bucket_name := resource["Properties"]["BucketName"]["Fn::Sub"].replace("${Name}", name)) in present
    }
    if not buckets:
        return False
    cloudformation.create_change_set(
        StackName=name,
        ChangeSetName="adopt",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(_only_buckets(body, buckets)),
        Parameters=[{"ParameterKey": "Name", "ParameterValue": name}],
        ResourcesToImport=[
            {
                "ResourceType": _BUCKET,
                "LogicalResourceId": logical_id,
                "ResourceIdentifier": {"BucketName": bucket_name},
            }
            for logical_id, bucket_name in buckets.items()
        ],
    )
    cloudformation.get_waiter("change_set_create_complete").wait(
        StackName=name, ChangeSetName="adopt", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    cloudformation.execute_change_set(StackName=name, ChangeSetName="adopt")
    _wait(cloudformation, name)
    return True


def _only_buckets(body: Mapping[str, Any], buckets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Parameters": {"Name": body["Parameters"]["Name"]},
        "Resources": {
            # An import requires the policy. The update after it sets the template's.
            logical_id: {"Type": _BUCKET, "DeletionPolicy": "Retain", "Properties": {"BucketName": bucket_name}}
            for logical_id, bucket_name in buckets.items()
        },
    }


def _describe(cloudformation: "CloudFormationClient", name: str) -> "StackTypeDef | None":
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def _wait(cloudformation: "CloudFormationClient", name: str) -> "StackTypeDef":
    deadline = time.monotonic() + _SECONDS
    while True:
        stack = _describe(cloudformation, name)
        status = "absent" if stack is None else stack["StackStatus"]
        if stack is not None and status.endswith("_COMPLETE") and "ROLLBACK" not in status:
            return stack
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > deadline:
            reason = stack.get("StackStatusReason", "") if stack else ""
            raise LocalStackError(f"The emulator cannot create the data plane {name}: its stack is {status}. {reason}")
        time.sleep(_POLL_SECONDS)

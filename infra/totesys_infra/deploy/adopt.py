"""Adopts the lake that an earlier stack left."""

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from totesys_infra.deploy.clients import code
from totesys_infra.deploy.cloudformation import describe, execute, planned
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.template import StackTemplate

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import CreateChangeSetInputTypeDef

_BUCKET = "AWS::S3::Bucket"


def adopt(deployment: Deployment, template: StackTemplate) -> None:
    """Create a missing stack from its existing buckets, with their contents; the update after it adds the rest.

    CloudFormation refuses to create an existing bucket. Raises StackFailed.
    """
    if describe(deployment, template.name) is not None:
        return
    left = {logical_id: name for logical_id, name in template.buckets.items() if _exists(deployment, name)}
    if not left:
        return
    deployment.report(f"{template.name}: adopts {', '.join(left.values())}")
    request: CreateChangeSetInputTypeDef = {
        "StackName": template.name,
        "ChangeSetName": f"adopt-{secrets.token_hex(6)}",
        "ChangeSetType": "IMPORT",
        "TemplateBody": json.dumps(_only(template.content, left)),
        "Parameters": [{"ParameterKey": "Name", "ParameterValue": template.parameters["Name"]}],
        "ResourcesToImport": [
            {"ResourceType": _BUCKET, "LogicalResourceId": key, "ResourceIdentifier": {"BucketName": name}}
            for key, name in left.items()
        ],
    }
    if deployment.execution_role is not None:
        request["RoleARN"] = deployment.execution_role
    change_set = deployment.aws.cloudformation.create_change_set(**request)["Id"]
    execute(deployment, template.name, planned(deployment, template.name, change_set))


def _only(content: Mapping[str, Any], buckets: Iterable[str]) -> dict[str, Any]:
    """The template with only the names of these buckets. The update after it sets everything else."""
    return {
        "Parameters": {"Name": content["Parameters"]["Name"]},
        "Resources": {
            key: {
                "Type": _BUCKET,
                "DeletionPolicy": "Retain",
                # Unchanged, because a different expression would count as a change of the name.
                "Properties": {"BucketName": content["Resources"][key]["Properties"]["BucketName"]},
            }
            for key in buckets
        },
    }


def _exists(deployment: Deployment, bucket: str) -> bool:
    try:
        deployment.aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if code(error) in ("404", "NoSuchBucket"):
            return False
        raise
    return True

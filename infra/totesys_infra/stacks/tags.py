"""The tags of every resource, which identify the environment in bills and budgets."""

import aws_cdk as cdk
from constructs import IConstruct

from totesys_infra.names import APP, TAG_APP, TAG_ENVIRONMENT


def tag(construct: IConstruct, environment: str) -> None:
    """Tag a construct and everything below it that can have tags."""
    for key, value in ((TAG_APP, APP), (TAG_ENVIRONMENT, environment)):
        # Not the stack itself: the CDK's command rejects a tag whose value only CloudFormation knows.
        cdk.Tags.of(construct).add(key, value, exclude_resource_types=["aws:cdk:stack"])

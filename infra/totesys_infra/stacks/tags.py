"""The tags of every resource, which identify the environment in bills and budgets."""

import aws_cdk as cdk
from constructs import IConstruct

from totesys_infra.names import APP, TAG_APP, TAG_ENVIRONMENT


def tag(construct: IConstruct, environment: str) -> None:
    """Tag a construct and everything below it that can have tags."""
    cdk.Tags.of(construct).add(TAG_APP, APP)
    cdk.Tags.of(construct).add(TAG_ENVIRONMENT, environment)

"""The tags of every resource, by which bills and budgets tell the environment from the rest of the account."""

import aws_cdk as cdk
from constructs import IConstruct

from totesys_infra.names import APP, TAG_APP, TAG_ENVIRONMENT


def tag(construct: IConstruct, environment: str) -> None:
    """Tag a construct and all below it that AWS lets have tags."""
    cdk.Tags.of(construct).add(TAG_APP, APP)
    cdk.Tags.of(construct).add(TAG_ENVIRONMENT, environment)

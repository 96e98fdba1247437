"""The roles that AWS's own services act with. An account lacks them until a service is first used.

CloudFormation's first use fails: the service creates its role and tries it before IAM knows it everywhere.
"""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from totesys_infra.deploy.aws import code
from totesys_infra.deploy.deployment import Deployment

LINKED = (
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
)


def absent(deployment: Deployment) -> Iterator[str]:
    """The services that have no role in the account."""
    for service in LINKED:
        if not deployment.aws.iam.list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"]:
            yield service


def create_absent(deployment: Deployment) -> None:
    """Create the roles that the account lacks. Needs `iam:CreateServiceLinkedRole`."""
    for service in absent(deployment):
        try:
            deployment.aws.iam.create_service_linked_role(AWSServiceName=service)
        except ClientError as error:
            # The service has created it in the meantime.
            if code(error) not in ("InvalidInput", "EntityAlreadyExists"):
                raise
        deployment.say(f"{service}: its role is created in the account")

"""Service-linked roles. An account lacks them until a service is first used.

If CloudFormation is that first use, it fails: the service assumes its new role before IAM has propagated it.
"""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from totesys_infra.deploy.clients import code
from totesys_infra.deploy.deployment import Deployment

LINKED = (
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
)


def absent(deployment: Deployment) -> Iterator[str]:
    """The services whose role the account lacks."""
    for service in LINKED:
        if not deployment.aws.iam.list_roles(PathPrefix=f"/aws-service-role/{service}/")["Roles"]:
            yield service


def create_absent(deployment: Deployment) -> None:
    """Create the roles that the account lacks. Needs `iam:CreateServiceLinkedRole`."""
    for service in absent(deployment):
        try:
            deployment.aws.iam.create_service_linked_role(AWSServiceName=service)
        except ClientError as error:
            # It was created in the meantime.
            if code(error) not in ("InvalidInput", "EntityAlreadyExists"):
                raise
        deployment.report(f"{service}: created its service-linked role")

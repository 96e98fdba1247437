"""What has to be so before anything is changed."""

from collections.abc import Iterable
from typing import get_args

from botocore.exceptions import ClientError

from totesys_infra.deploy.aws import code
from totesys_infra.deploy.cloudformation import describe
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.errors import DeployRefused
from totesys_infra.deploy.service_roles import absent
from totesys_infra.names import Purpose

_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
# AWS's own key, which needs no permission.
_DEFAULT_KEY = "alias/aws/secretsmanager"
# They go with their stacks.
_GONE: tuple[Purpose, ...] = ("code", "queries")


def check_account(deployment: Deployment) -> None:
    """Refuse to work on another account than the file says. Raises DeployRefused."""
    caller = deployment.aws.sts.get_caller_identity()
    wanted = deployment.environment.account
    if caller["Account"] != wanted:
        raise DeployRefused(
            f"The file is about the account {wanted}, and you are signed in to {caller['Account']} ({caller['Arn']}). "
            "Set AWS_PROFILE to one of the right account, or `account` in the file."
        )


def check_all(deployment: Deployment) -> None:
    """Account, secrets and the names of the buckets. Raises DeployRefused with every fault."""
    check_account(deployment)
    faults = [*_access_faults(deployment), *_secret_faults(deployment), *_bucket_faults(deployment)]
    if faults:
        raise DeployRefused("Not deployed:" + "".join(f"\n  {fault}" for fault in faults))


def _access_faults(deployment: Deployment) -> Iterable[str]:
    access = deployment.names.stack("access")
    if deployment.execution_role is not None and describe(deployment, access) is None:
        yield (
            f"The stacks are made with the role {deployment.names.execution_role}, and there is no stack {access} that "
            "has it. As an administrator, run: make deploy ENV=FILE.toml VERB=access"
        )
    elif deployment.execution_role is not None and (services := [*absent(deployment)]):
        yield (
            f"The account lacks the service-linked roles of {', '.join(services)}. As an administrator, create them: "
            "make deploy ENV=FILE.toml VERB=access"
        )


def _secret_faults(deployment: Deployment) -> Iterable[str]:
    environment = deployment.environment
    for what, part in (("source", environment.source), ("warehouse", environment.warehouse)):
        arn = part.secret
        if arn is None:
            continue
        try:
            secret = deployment.aws.secrets.describe_secret(SecretId=arn)
        except ClientError as error:
            if code(error) != "ResourceNotFoundException":
                raise
            yield (
                f"[{what}] secret {arn} is not there. Make it (aws secretsmanager create-secret), and copy its ARN, "
                "which ends with six letters of its own, into the file."
            )
        else:
            if secret.get("DeletedDate"):
                yield f"[{what}] secret {arn} is marked for deletion: aws secretsmanager restore-secret brings it back."
            key = secret.get("KmsKeyId", _DEFAULT_KEY)
            if not key.endswith(_DEFAULT_KEY) and part.secret_key is None:
                yield (
                    f"[{what}] secret {arn} is encrypted under the KMS key {key}. Set secret_key under [{what}] to the "
                    "key's ARN, so that the tasks may decrypt it."
                )


def _bucket_faults(deployment: Deployment) -> Iterable[str]:
    names, account = deployment.names, deployment.environment.account
    deployed = describe(deployment, names.stack("data-plane")) is not None
    for purpose in _PURPOSES:
        bucket = names.bucket(purpose)
        try:
            deployment.aws.s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
        except ClientError as error:
            match code(error):
                case "404" | "NoSuchBucket":
                    continue
                case "403" | "AccessDenied":
                    yield (
                        f"The bucket {bucket} is somebody else's, or you may not look at it. "
                        "Names of buckets are taken in the whole of AWS: choose another `name`."
                    )
                case "301" | "PermanentRedirect":
                    yield f"The bucket {bucket} is in another region. Choose another `name`, or that region."
                case _:
                    raise
        else:
            # A lake that `destroy` has left becomes the new stack's.
            if not deployed and purpose in _GONE:
                yield (
                    f"The bucket {bucket} is there, but no stack {names.stack('data-plane')}: empty and remove it, "
                    "or choose another `name`."
                )

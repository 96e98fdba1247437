"""The checks before a deployment changes anything."""

from collections.abc import Iterable
from typing import get_args

from botocore.exceptions import ClientError

from totesys_infra.deploy.clients import code
from totesys_infra.deploy.cloudformation import describe
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.deploy.service_roles import absent
from totesys_infra.names import Purpose
from totesys_infra.settings_sections import is_parameter

_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
# AWS's own key, which needs no permission.
_DEFAULT_KEY = "alias/aws/secretsmanager"
# Buckets that are deleted with their stacks.
_TEMPORARY: tuple[Purpose, ...] = ("code", "queries")


def check_account(deployment: Deployment) -> None:
    """Refuse to work in another account than the file's. Raises DeployRefused."""
    caller = deployment.aws.sts.get_caller_identity()
    wanted = deployment.environment.account
    if caller["Account"] != wanted:
        raise DeployRefused(
            f"The file is for the account {wanted}, and you are signed in to {caller['Account']} ({caller['Arn']}). "
            "Set AWS_PROFILE to a profile of that account, or correct `account` in the file."
        )


def check_all(deployment: Deployment) -> None:
    """Check the account, the roles, the secrets and the bucket names. Raises DeployRefused with every fault."""
    check_account(deployment)
    faults = [*_access_faults(deployment), *_secret_faults(deployment), *_bucket_faults(deployment)]
    if faults:
        raise DeployRefused("Not deployed:" + "".join(f"\n  {fault}" for fault in faults))


def _access_faults(deployment: Deployment) -> Iterable[str]:
    access = deployment.names.stack("access")
    if deployment.execution_role is not None and describe(deployment, access) is None:
        yield (
            f"The role {deployment.names.execution_role} is missing, because there is no stack {access}. As an "
            "administrator, run: make deploy ENV=FILE.toml VERB=access"
        )
    elif deployment.execution_role is not None and (services := [*absent(deployment)]):
        yield (
            f"The account lacks the service-linked roles of {', '.join(services)}. As an administrator, run: "
            "make deploy ENV=FILE.toml VERB=access"
        )


def _secret_faults(deployment: Deployment) -> Iterable[str]:
    environment = deployment.environment
    source, warehouse = environment.source, environment.warehouse
    for what, name, arn, known_key in (
        ("source", "secret", source.secret, source.secret_key),
        ("source", "login", source.login, source.login_key),
        ("warehouse", "secret", warehouse.secret, warehouse.secret_key),
        ("warehouse", "login", warehouse.login, warehouse.login_key),
    ):
        if arn is None:
            continue
        if is_parameter(arn):
            yield from _parameter_faults(deployment, what, arn)
            continue
        try:
            secret = deployment.aws.secrets.describe_secret(SecretId=arn)
        except ClientError as error:
            if code(error) != "ResourceNotFoundException":
                raise
            yield (
                f"[{what}] secret {arn} does not exist. Create it (aws secretsmanager create-secret), and copy its "
                "full ARN, with the six characters at its end, into the file."
            )
        else:
            if secret.get("DeletedDate"):
                yield f"[{what}] secret {arn} is scheduled for deletion. Run: aws secretsmanager restore-secret"
            key = secret.get("KmsKeyId", _DEFAULT_KEY)
            if not key.endswith(_DEFAULT_KEY) and known_key is None:
                yield (
                    f"[{what}] secret {arn} is encrypted under the KMS key {key}. Set {name}_key under [{what}] to "
                    "the key's ARN, so that the tasks may decrypt it."
                )


def _parameter_faults(deployment: Deployment, what: str, arn: str) -> Iterable[str]:
    try:
        # Without decryption: the value is not read.
        parameter = deployment.aws.ssm.get_parameter(Name=arn, WithDecryption=False)["Parameter"]
    except ClientError as error:
        if code(error) != "ParameterNotFound":
            raise
        yield f"[{what}] secret {arn} does not exist. Create it: aws ssm put-parameter --type SecureString --name …"
    else:
        if parameter.get("Type") != "SecureString":
            yield f"[{what}] secret {arn} is stored as plain text. Delete it, and create it with --type SecureString."


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
                        f"The bucket {bucket} belongs to another account, or you lack access to it. Bucket names are "
                        "unique in all of AWS: choose another `name`."
                    )
                case "301" | "PermanentRedirect":
                    yield f"The bucket {bucket} is in another region. Choose another `name`, or that region."
                case _:
                    raise
        else:
            # The new stack adopts a lake that `destroy` left.
            if not deployed and purpose in _TEMPORARY:
                yield (
                    f"The bucket {bucket} exists without the stack {names.stack('data-plane')}. Empty and delete it, "
                    "or choose another `name`."
                )

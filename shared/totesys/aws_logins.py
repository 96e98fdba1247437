"""Logins to Postgres that AWS provides in place of a password in the DSN.

`?secret=ARN` names a secret of Secrets Manager in the form that RDS writes: JSON with `username` and `password`. RDS
rotates it. `?iam=true` signs an IAM token for each connection. A token lets a user log in for 15 minutes; an open
session continues beyond that.
"""

import json
import re
from dataclasses import dataclass, field

from aiobotocore.session import get_session
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from totesys.aws_client import CLIENT_CONFIG, answered, error_code
from totesys.dsn.resolve import Host
from totesys.errors import SettingsError

_NOT_FOUND = "ResourceNotFoundException"
_SERVICE = "rds-db"
_TOKEN_SECONDS = 900
_SCHEME = "https://"
_RDS_HOST = re.compile(r"\.([a-z0-9-]+)\.rds\.amazonaws\.com(?:\.cn)?$")


@dataclass(frozen=True)
class Login:
    """A role and its password."""

    user: str
    password: str = field(repr=False)


# By ARN. A login that works is not read again.
_cached: dict[str, Login] = {}


async def secret_login(arn: str, refused: Login | None = None) -> Login:
    """The login in a secret: the cached one unless the server `refused` it, else the secret's current value.

    Raises AccessDenied, LakeUnavailable, or SettingsError if the secret is missing or has another form.
    """
    cached = _cached.get(arn)
    if cached is None or cached == refused:
        cached = _cached[arn] = await _read_secret(arn)
    return cached


async def _read_secret(arn: str) -> Login:
    what = f"The secret {arn}"
    async with answered(what), get_session().create_client("secretsmanager", config=CLIENT_CONFIG) as client:
        try:
            answer = await client.get_secret_value(SecretId=arn)
        except ClientError as error:
            if error_code(error) == _NOT_FOUND:
                raise SettingsError(f"{what} does not exist. Correct the DSN that names it.") from error
            raise
    try:
        content = json.loads(answer["SecretString"])
        return Login(str(content["username"]), str(content["password"]))
    except (KeyError, TypeError, ValueError):
        # Without the cause, which would quote the secret.
        raise SettingsError(f"{what} is not JSON with username and password. Name one that is.") from None


async def iam_token(host: Host, user: str, region: str | None = None) -> str:
    """A token that lets `user` log in to `host` now. `region` defaults to the host's, then the environment's.

    Raises SettingsError, AccessDenied or LakeUnavailable if there are no credentials to sign it with.
    """
    session = get_session()
    rds_host = _RDS_HOST.search(host.name)
    where = region or (rds_host[1] if rds_host else session.get_config_variable("region"))
    if not where:
        raise SettingsError(f"iam=true needs the region of {host}, which is unknown. Name it in the DSN: region=….")
    async with answered("AWS credentials"):
        credentials = await session.get_credentials()
        if credentials is None:
            raise SettingsError(f"There are no AWS credentials to log in to {host} with. Give the task a role.")
        signer = SigV4QueryAuth(await credentials.get_frozen_credentials(), _SERVICE, where, expires=_TOKEN_SECONDS)
    request = AWSRequest("GET", f"{_SCHEME}{host}/", params={"Action": "connect", "DBUser": user})
    signer.add_auth(request)
    return str(request.prepare().url).removeprefix(_SCHEME)

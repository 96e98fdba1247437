"""Tokens of AWS IAM in place of a password: `postgresql://user@host:5432/db?iam=true`.

A token is signed here, without asking AWS, and serves for 15 minutes to log in; a session that has begun goes on. So
each connection has one of its own, signed with the credentials of that time.
"""

import re

from aiobotocore.session import get_session
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from totesys.dsn.target import Host
from totesys.errors import SettingsError
from totesys.lake.aws import answered

_SERVICE = "rds-db"
_SECONDS = 900
_SCHEME = "https://"
_RDS_HOST = re.compile(r"\.([a-z0-9-]+)\.rds\.amazonaws\.com(?:\.cn)?$")


async def token(host: Host, user: str, region: str | None = None) -> str:
    """What lets `user` log in to `host` now; without a region, it is the host's or the environment's.

    Raises SettingsError, AccessDenied or LakeUnavailable if there is nothing to sign it with.
    """
    session = get_session()
    of_host = _RDS_HOST.search(host.name)
    where = region or (of_host[1] if of_host else session.get_config_variable("region"))
    if not where:
        raise SettingsError(f"The region of {host} is not known, which iam=true needs. Name it in the DSN: region=….")
    async with answered("the credentials of AWS"):
        credentials = await session.get_credentials()
        if credentials is None:
            raise SettingsError(f"There are no credentials of AWS to log in to {host} with. Give the task a role.")
        signer = SigV4QueryAuth(await credentials.get_frozen_credentials(), _SERVICE, where, expires=_SECONDS)
    request = AWSRequest("GET", f"{_SCHEME}{host}/", params={"Action": "connect", "DBUser": user})
    signer.add_auth(request)
    return str(request.prepare().url).removeprefix(_SCHEME)

"""A DSN that names a secret of AWS Secrets Manager, `postgresql://host:5432/db?secret=ARN`, in place of a password.

The secret is as RDS makes it: JSON with `username` and `password`. RDS changes the password now and then.
"""

import json
from dataclasses import dataclass, field

from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from totesys.errors import SettingsError
from totesys.lake.aws import CLIENT_CONFIG, answered, error_code

_ABSENT = "ResourceNotFoundException"


@dataclass(frozen=True)
class Login:
    """A role and its password."""

    user: str
    password: str = field(repr=False)


# By the secret's ARN: one that works is not asked for again.
_known: dict[str, Login] = {}


async def login(arn: str, refused: Login | None = None) -> Login:
    """The secret's login: the one that is known, unless the server `refused` it; else as Secrets Manager has it now.

    Raises AccessDenied, LakeUnavailable, or SettingsError for a secret that is not there or holds something else.
    """
    known = _known.get(arn)
    if known is None or known == refused:
        known = _known[arn] = await _read(arn)
    return known


async def _read(arn: str) -> Login:
    what = f"The secret {arn}"
    async with answered(what), get_session().create_client("secretsmanager", config=CLIENT_CONFIG) as client:
        try:
            answer = await client.get_secret_value(SecretId=arn)
        except ClientError as error:
            if error_code(error) == _ABSENT:
                raise SettingsError(f"{what} does not exist. Correct the DSN that names it.") from error
            raise
    try:
        held = json.loads(answer["SecretString"])
        return Login(str(held["username"]), str(held["password"]))
    except (KeyError, TypeError, ValueError):
        # Without its cause, which would quote what it holds.
        raise SettingsError(f"{what} is not JSON with username and password. Name one that is.") from None

"""What AWS says, as sentences that say what the caller of the command can do."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import NoCredentialsError, NoRegionError

from totesys.aws_client import lake_errors
from totesys.errors import LakeUnavailable
from totesys_cli.errors import BadInput

_LOCAL = "or name a local stack with --endpoint"
_REGION = f"Set AWS_DEFAULT_REGION, {_LOCAL}."
_CREDENTIALS = f"Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, {_LOCAL}."
_ADDRESS = "Check --endpoint and AWS's settings, and call again."


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turn an AWS error about `what` into AccessDenied, SettingsError or BadInput."""
    try:
        with lake_errors(what):
            yield
    except LakeUnavailable as error:
        raise BadInput(f"{error} {_advice(error.__cause__)}") from error
    # ValueError: an endpoint that is no address.
    except ValueError as error:
        raise BadInput(f"{what} cannot be asked: {str(error).rstrip('.')}. {_ADDRESS}") from error


def _advice(cause: BaseException | None) -> str:
    match cause:
        case NoRegionError():
            return _REGION
        case NoCredentialsError():
            return _CREDENTIALS
        case _:
            return _ADDRESS

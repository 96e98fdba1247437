"""Clients of a data plane's buckets and queues, and their errors as advice to the caller."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import NoCredentialsError, NoRegionError

from totesys.aws_client import lake_errors
from totesys.errors import LakeUnavailable
from totesys.lake.store import Lake, open_lake
from totesys.service.queue import Queue, find_queue
from totesys_cli.command_errors import UsageError
from totesys_cli.local.emulator_access import REGION, known
from totesys_cli.options import DataPlaneLocation

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# An endpoint that hangs is given up after half a minute.
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
_ADVICE: dict[type[BaseException | None], str] = {
    NoRegionError: "Set AWS_DEFAULT_REGION, or name a local stack with --endpoint.",
    NoCredentialsError: "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a local stack with "
    "--endpoint.",
}
_CHECK = "Check --endpoint and the AWS settings, and call again."


class ClientOptions(TypedDict, total=False):
    """Arguments of an AWS client beside its own settings."""

    endpoint_url: str
    region_name: str
    aws_access_key_id: str
    aws_secret_access_key: str


def client_options(location: DataPlaneLocation) -> ClientOptions:
    """The arguments of a client of this data plane."""
    if location.endpoint is None:
        return {}
    options: ClientOptions = {"endpoint_url": location.endpoint, "region_name": REGION}
    if credentials := known(location.endpoint):
        options["aws_access_key_id"] = credentials.access_key
        options["aws_secret_access_key"] = credentials.secret_key
    return options


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turn an AWS error about `what` into AccessDenied, SettingsError or UsageError."""
    try:
        with lake_errors(what):
            yield
    except LakeUnavailable as error:
        text = " ".join(str(error).split())
        raise UsageError(f"{text} {_ADVICE.get(type(error.__cause__), _CHECK)}") from error
    # An endpoint in the AWS settings that is not a URL.
    except ValueError as error:
        raise UsageError(f"{what} cannot be reached: {str(error).rstrip('.')}. {_CHECK}") from error
    except KeyError as error:
        raise UsageError(f"{what} cannot be reached: the endpoint's answer has no {error.args[0]}. {_CHECK}") from error


@asynccontextmanager
async def lake_at(location: DataPlaneLocation, *, read_only: bool = True) -> AsyncIterator[Lake]:
    """The lake; with `read_only`, writes do nothing.

    Raises UsageError, SettingsError or AccessDenied if it does not respond.
    """
    buckets = location.bucket("ingest"), location.bucket("processed")
    async with AsyncExitStack() as stack:
        with aws_errors(f"The lake {location.name}"):
            lake = await stack.enter_async_context(open_lake(*buckets, read_only=read_only, **client_options(location)))
            await lake.check()
        yield lake


@asynccontextmanager
async def queue_at(location: DataPlaneLocation, stage: str) -> AsyncIterator[Queue]:
    """The queue that triggers a stage. Raises UsageError, SettingsError or AccessDenied if it does not respond."""
    name = location.queue(stage)
    async with AsyncExitStack() as stack:
        with aws_errors(name):
            queue = await stack.enter_async_context(find_queue(name, **client_options(location)))
        yield queue


def sqs_client(location: DataPlaneLocation) -> "SQSClient":
    """A client of the queues, to be closed by the caller. Raises as `aws_errors` does."""
    with aws_errors("AWS"):
        return boto3.Session().client("sqs", config=_CONFIG, **client_options(location))

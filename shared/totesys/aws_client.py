"""The settings of AWS clients, and AWS errors as ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from totesys.errors import AccessDenied, LakeUnavailable, SettingsError

# A silent server is given up after about two minutes: four tries of 30 s with at most 1, 2 and 4 s between them. A read
# may take longer than a long poll of SQS, which is 20 s.
CLIENT_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=32,
    retries={"mode": "standard", "total_max_attempts": 4},
    # Parts are compared with the checksum in their manifest anyway; for records, the bucket asks for S3's own.
    response_checksum_validation="when_required",
)

# The longest time for one request, with all its retries.
ANSWER_SECONDS = 120.0

_REFUSED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_ABSENT = {"NoSuchBucket", "NonExistentQueue", "QueueDoesNotExist"}
_NOT_OURS = {"MessageNotInflight", "ReceiptHandleIsInvalid"}


@contextmanager
def lake_errors(what: str) -> Iterator[None]:
    """Turn an AWS error about `what` into AccessDenied, SettingsError or LakeUnavailable.

    Codes that only a person can fix are listed. All others may pass (a rate limit, a clock, a token that is being
    renewed), come from a retry whose first answer was lost (no such upload), or are unknown.
    """
    try:
        yield
    except ClientError as error:
        code, message = error_code(error), str(error).rstrip(".")
        if code in _REFUSED:
            raise AccessDenied(
                f"AWS refuses access to {what}: {message}. Grant the right, or correct the credentials."
            ) from error
        if code in _ABSENT:
            raise SettingsError(
                f"{what} does not exist: {message}. Deploy the data plane, or correct the name."
            ) from error
        raise LakeUnavailable(f"AWS cannot serve {what} now: {message}.") from error
    except (BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError) as error:
        message = str(error).rstrip(".") or "no answer in time"
        raise LakeUnavailable(f"{what} cannot be reached: {message}.") from error


@asynccontextmanager
async def answered(what: str, seconds: float | None = None) -> AsyncIterator[None]:
    """Bound the time of the block's requests about `what`, by default to ANSWER_SECONDS. Raises as `lake_errors`."""
    with lake_errors(what):
        async with asyncio.timeout(seconds or ANSWER_SECONDS):
            yield


def error_code(error: ClientError) -> str:
    """The code that AWS gave, such as `NoSuchKey`."""
    return error.response.get("Error", {}).get("Code", "").removeprefix("AWS.SimpleQueueService.")


def message_is_lost(error: ClientError) -> bool:
    """Whether SQS says that the message was deleted, or received by another after its visibility timeout."""
    code = error_code(error)
    return code in _NOT_OURS or (code == "InvalidParameterValue" and "ReceiptHandle" in str(error))

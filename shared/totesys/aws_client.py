"""How S3 and SQS are asked, and their errors as ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from totesys.errors import AccessDenied, LakeUnavailable, SettingsError

# A server that says nothing is given up after about two minutes: four tries of 30 s, and at most 1, 2 and 4 s between
# them. An answer is waited for longer than SQS holds a long poll, which is 20 s.
CLIENT_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=32,
    retries={"mode": "standard", "total_max_attempts": 4},
    # Parts are compared with their manifest's checksum anyway; of a record, the bucket asks for S3's own.
    response_checksum_validation="when_required",
)

# However slowly an answer comes, and however often it is asked for.
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

    What only a person can mend is known by its code. All else is a matter of time (a rate, a clock, a token that is
    being renewed), or of a first try whose answer was lost (no such upload), or unknown: the same work may succeed.
    """
    try:
        yield
    except ClientError as error:
        code, said = error_code(error), str(error).rstrip(".")
        if code in _REFUSED:
            raise AccessDenied(
                f"AWS refuses access to {what}: {said}. Grant the right, or correct the credentials."
            ) from error
        if code in _ABSENT:
            raise SettingsError(
                f"{what} does not exist: {said}. Deploy the data plane, or correct the name."
            ) from error
        raise LakeUnavailable(f"AWS cannot serve {what} now: {said}.") from error
    except (BotoCoreError, ResponseParserError, aiohttp.ClientError, OSError) as error:
        said = str(error).rstrip(".") or "no answer in time"
        raise LakeUnavailable(f"{what} cannot be reached: {said}.") from error


@asynccontextmanager
async def answered(what: str) -> AsyncIterator[None]:
    """Ask AWS about `what` in the block, within ANSWER_SECONDS. Raises what `lake_errors` says."""
    with lake_errors(what):
        async with asyncio.timeout(ANSWER_SECONDS):
            yield


def error_code(error: ClientError) -> str:
    """The code that AWS gave, such as `NoSuchKey`."""
    return error.response.get("Error", {}).get("Code", "").removeprefix("AWS.SimpleQueueService.")


def message_is_lost(error: ClientError) -> bool:
    """Whether SQS says that a message is no longer the receiver's: it is deleted, or its visibility ran out."""
    code = error_code(error)
    return code in _NOT_OURS or (code == "InvalidParameterValue" and "ReceiptHandle" in str(error))

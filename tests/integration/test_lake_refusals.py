"""What AWS refuses is an error of ours that says who has to act, and it is raised whatever becomes of its record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from tests.faulty_aws import Fault, FaultyAws, refused
from totesys.aws_client import CLIENT_CONFIG, lake_errors, message_is_lost
from totesys.errors import AccessDenied, CorruptObject, LakeUnavailable, SettingsError, TotesysError
from totesys.lake.records import Part
from totesys.lake.store import Lake
from totesys.log_events import LogEvent
from totesys_cli.local.emulator_access import REGION
from totesys_cli.local.local_data_plane import LocalDataPlane

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

REFUSALS: dict[tuple[str, int], type[TotesysError]] = {
    ("AccessDenied", 403): AccessDenied,
    ("InvalidAccessKeyId", 403): AccessDenied,
    ("SignatureDoesNotMatch", 403): AccessDenied,
    ("NoSuchBucket", 404): SettingsError,
    ("ExpiredToken", 400): LakeUnavailable,
    ("RequestTimeTooSkewed", 403): LakeUnavailable,
    ("NoSuchUpload", 404): LakeUnavailable,
    ("TooManyRequests", 429): LakeUnavailable,
    ("InvalidRequest", 400): LakeUnavailable,
    ("NobodyKnows", 418): LakeUnavailable,
}


async def test_every_refusal_is_an_error_of_ours(aws: FaultyAws, faulty_lake: Lake) -> None:
    bucket = faulty_lake.ingest
    part = Part(key="key", rows=0, bytes=0, crc32="")
    for (code, status), error in REFUSALS.items():
        aws.inject(Fault("S3 *", refused(code, status)))
        for ask in (
            lambda: bucket.get("key"),
            lambda: bucket.get_part(part),
            lambda: bucket.put("key", b""),
            lambda: bucket.put_part("key", b"", 1),
            lambda: bucket.put_new("key", b""),
            lambda: bucket.put_instead("key", b"", "tag"),
            faulty_lake.ingested,
        ):
            with pytest.raises(error, match=rf"s3://{bucket.name}/\w+.*{code}"):
                await ask()


@asynccontextmanager
async def queue_client(aws: FaultyAws, plane: LocalDataPlane) -> "AsyncIterator[SQSClient]":
    async with get_session().create_client(
        "sqs",
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id=plane.credentials.access_key,
        aws_secret_access_key=plane.credentials.secret_key,
        config=CLIENT_CONFIG,
    ) as client:
        yield client


async def test_a_message_that_is_no_longer_ours_is_told_from_other_refusals(
    aws: FaultyAws, data_plane: LocalDataPlane
) -> None:
    url = aws.in_front_of(data_plane).load_queue_url
    expired = "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
    refusals = {
        refused("MessageNotInflight", 400): True,
        refused("ReceiptHandleIsInvalid", 400): True,
        refused("InvalidParameterValue", 400, expired): True,
        refused("InvalidParameterValue", 400, "Value 50000 for parameter VisibilityTimeout is invalid."): False,
        refused("OverLimit", 403): False,
        refused("AccessDenied", 403): False,
    }
    async with queue_client(aws, data_plane) as client:
        for refusal, lost in refusals.items():
            aws.inject(Fault("SQS ChangeMessageVisibility", refusal))
            with pytest.raises(ClientError) as raised:
                await client.change_message_visibility(QueueUrl=url, ReceiptHandle="AQEB", VisibilityTimeout=1)
            assert message_is_lost(raised.value) is lost
        aws.inject()
        with pytest.raises(ClientError) as raised:
            await client.delete_message(QueueUrl=url, ReceiptHandle="AQEB")
        assert message_is_lost(raised.value)


async def test_a_queue_that_is_not_there_is_a_wrong_setting(aws: FaultyAws, data_plane: LocalDataPlane) -> None:
    url = f"{aws.in_front_of(data_plane).load_queue_url}-gone"
    async with queue_client(aws, data_plane) as client:
        with pytest.raises(SettingsError, match="-gone does not exist"), lake_errors(url):
            await client.receive_message(QueueUrl=url)


async def test_an_error_is_raised_as_it_is_though_it_cannot_be_recorded(aws: FaultyAws, faulty_lake: Lake) -> None:
    aws.inject(Fault("S3 PutObject", refused("AccessDenied", 403)))
    with capture_logs() as logs, pytest.raises(CorruptObject, match="broken"):
        async with faulty_lake.failures_recorded(7, "load"):
            raise CorruptObject("broken")
    assert [(line["event"], line["log_level"], line["run"]) for line in logs] == [
        (LogEvent.FAILURE_RECORDING_FAILED, "warning", 7)
    ]
    aws.inject()
    assert await faulty_lake.failure(7, "load") is None
    with pytest.raises(CorruptObject):
        async with faulty_lake.failures_recorded(7, "load"):
            raise CorruptObject("broken")
    recorded = await faulty_lake.failure(7, "load")
    assert recorded is not None
    assert (recorded.title, recorded.detail) == ("Corrupt object", "broken")


async def test_that_the_lake_is_away_is_not_written_into_it(aws: FaultyAws, faulty_lake: Lake) -> None:
    with pytest.raises(LakeUnavailable):
        async with faulty_lake.failures_recorded(7, "load"):
            raise LakeUnavailable("away")
    assert aws.seen["S3 PutObject"] == 0

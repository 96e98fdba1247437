"""An upload on a bad day: all of it arrives once, or nothing is left of it."""

import asyncio
from random import Random

import pytest
from structlog.testing import capture_logs

from tests.faulty_aws import Fault, FaultyAws, cut, lost, refused, reset, silent
from totesys.errors import AccessDenied, LakeUnavailable
from totesys.lake.records import Part
from totesys.lake.store import Lake
from totesys.lake.upload import Upload
from totesys.log_events import LogEvent

# The smallest that S3 takes.
PIECE = 5 * 1024 * 1024
BODY = Random(20261124).randbytes(3 * PIECE + 1)
KEY = "part"
CREATE, PIECES, COMPLETE, ABORT = (
    f"S3 {name}" for name in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload")
)
REFUSED = refused("AccessDenied", 403)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload needs fewer bytes to have several."""
    monkeypatch.setattr("totesys.lake.upload.PIECE_BYTES", PIECE)


async def write(begun: Upload, body: bytes) -> None:
    """Write it, a piece at once."""
    for start in range(0, len(body), PIECE):
        await begun.write(body[start : start + PIECE])


async def upload(lake: Lake) -> Upload:
    """An upload to which all is written."""
    begun = Upload(lake.ingest, KEY)
    await write(begun, BODY)
    return begun


def at_work() -> list[str]:
    """The tasks that send pieces."""
    return [task.get_name() for task in asyncio.all_tasks() if "_put_piece" in repr(task.get_coro())]


async def assert_arrived(lake: Lake, part: Part) -> None:
    body = await lake.ingest.get_part(part)
    # Too long to be shown where it differs.
    assert hash(body) == hash(BODY)


async def assert_nothing_is_left(aws: FaultyAws, lake: Lake, *, uploads: int = 0) -> None:
    assert at_work() == []
    aws.inject()
    assert await lake.ingest.get(KEY) is None
    left = await lake.ingest.client.list_multipart_uploads(Bucket=lake.ingest.name)
    assert len(left.get("Uploads", [])) == uploads


async def test_every_piece_arrives_once_though_answers_break(aws: FaultyAws, faulty_lake: Lake) -> None:
    for operation in (CREATE, PIECES, COMPLETE):
        for effect in (reset, lost, cut, refused("SlowDown", 503)):
            aws.inject(Fault(operation, effect, times=1))
            part = await (await upload(faulty_lake)).finish(rows=1)
            assert aws.broken.pop(operation) == 1
            await assert_arrived(faulty_lake, part)


async def test_a_piece_that_is_damaged_on_its_way_is_sent_again(aws: FaultyAws, faulty_lake: Lake) -> None:
    aws.inject(Fault(PIECES, refused("BadDigest", 400), times=2))
    part = await (await upload(faulty_lake)).finish(rows=1)
    await assert_arrived(faulty_lake, part)


async def test_an_upload_that_is_complete_is_known_to_be_though_s3_has_forgotten_it(
    aws: FaultyAws, faulty_lake: Lake
) -> None:
    forgotten = Fault(COMPLETE, refused("NoSuchUpload", 404))
    aws.inject(Fault(COMPLETE, lost, times=1), forgotten)
    part = await (await upload(faulty_lake)).finish(rows=1)
    await assert_arrived(faulty_lake, part)
    # What is there is not this upload's.
    aws.inject(forgotten)
    with pytest.raises(LakeUnavailable, match="NoSuchUpload"):
        await (await upload(faulty_lake)).finish(rows=1)


async def test_an_upload_with_a_piece_that_fails_leaves_nothing(aws: FaultyAws, faulty_lake: Lake) -> None:
    aws.inject(Fault(PIECES, REFUSED))
    begun = Upload(faulty_lake.ingest, KEY)
    with pytest.raises(AccessDenied):
        await write(begun, 9 * BODY)
    await begun.abort()
    await assert_nothing_is_left(aws, faulty_lake)


async def test_an_upload_whose_end_fails_leaves_nothing(aws: FaultyAws, faulty_lake: Lake) -> None:
    for operation in (PIECES, COMPLETE):
        begun = await upload(faulty_lake)
        aws.inject(Fault(operation, REFUSED))
        with pytest.raises(AccessDenied):
            await begun.finish(rows=1)
        await assert_nothing_is_left(aws, faulty_lake)


async def test_an_abort_that_fails_does_not_hide_why(aws: FaultyAws, faulty_lake: Lake) -> None:
    begun = await upload(faulty_lake)
    aws.inject(Fault(COMPLETE, REFUSED), Fault(ABORT, refused("InvalidRequest", 400)))
    with capture_logs() as logs, pytest.raises(AccessDenied):
        await begun.finish(rows=1)
    assert [(line["event"], line["key"]) for line in logs] == [(LogEvent.UPLOAD_ABORT_FAILED, KEY)]
    await assert_nothing_is_left(aws, faulty_lake, uploads=1)


@pytest.mark.parametrize("operation", [PIECES, COMPLETE])
async def test_an_upload_that_is_cancelled_leaves_nothing(aws: FaultyAws, faulty_lake: Lake, operation: str) -> None:
    begun = await upload(faulty_lake)
    aws.inject(Fault(operation, silent))
    end = asyncio.create_task(begun.finish(rows=1))
    await aws.until_broken(operation)
    end.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end
    await assert_nothing_is_left(aws, faulty_lake)

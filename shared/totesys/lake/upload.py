"""The upload of an object whose bytes are still being produced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from zlib import crc32

from botocore.exceptions import ClientError

from totesys.aws_client import error_code
from totesys.errors import TotesysError
from totesys.lake.bucket import Bucket, checksum, writer
from totesys.lake.records import Part
from totesys.log_events import LogEvent
from totesys.logs import logger

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

log = logger("totesys.lake.upload")

# Most parts are smaller and take one put. Two pieces are in memory at most: one is sent while the next one fills.
PIECE_BYTES = 32 * 1024 * 1024
PIECES_IN_FLIGHT = 1


class Upload:
    """Collects bytes into one object: with a single put if they are few, else with a multipart upload.

    The object is visible after `finish`, which leaves nothing behind if it fails. To give up before, call `abort`.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._upload_id: str | None = None
        self._writer = writer()
        self._pieces: list[asyncio.Task[CompletedPartTypeDef]] = []
        self._slots = asyncio.Semaphore(PIECES_IN_FLIGHT)
        self._sent = 0
        self._crc = 0

    async def write(self, data: bytes) -> None:
        """Append `data`. Raises LakeUnavailable if a piece could not be sent."""
        # One row may be larger than a piece.
        for start in range(0, len(data), PIECE_BYTES):
            chunk = data[start : start + PIECE_BYTES]
            self._chunks.append(chunk)
            self._waiting += len(chunk)
            if self._waiting >= PIECE_BYTES:
                if self._upload_id is None:
                    self._upload_id = await self._begin()
                await self._send_piece(self._upload_id)

    async def finish(self, rows: int) -> Part:
        """Make the object visible. Returns its entry in a manifest. Raises as `Bucket` does."""
        try:
            if self._upload_id is None:
                return await self._bucket.put_part(self._key, self._take(), rows)
            if self._chunks:
                await self._send_piece(self._upload_id)
            await self._complete(self._upload_id, await asyncio.gather(*self._pieces))
        except BaseException:
            await self.abort()
            raise
        return Part(key=self._key, rows=rows, bytes=self._sent, crc32=f"{self._crc:08x}")

    async def _complete(self, upload_id: str, pieces: list[CompletedPartTypeDef]) -> None:
        async def complete() -> None:
            try:
                await self._bucket.client.complete_multipart_upload(
                    Bucket=self._bucket.name, Key=self._key, UploadId=upload_id, MultipartUpload={"Parts": pieces}
                )
            except ClientError as error:
                # An earlier try may have completed it, and its answer been lost.
                if error_code(error) != "NoSuchUpload" or not await self._bucket.wrote(self._key, self._writer):
                    raise

        await self._bucket.request(self._key, complete)

    def _take(self) -> bytes:
        body = b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        return body

    async def _begin(self) -> str:
        created = await self._bucket.request(
            self._key,
            lambda: self._bucket.client.create_multipart_upload(
                Bucket=self._bucket.name, Key=self._key, ChecksumAlgorithm="CRC32", Metadata=self._writer
            ),
        )
        return created["UploadId"]

    async def _send_piece(self, upload_id: str) -> None:
        for piece in self._pieces:
            if piece.done():
                piece.result()
        await self._slots.acquire()
        body = self._take()
        self._sent += len(body)
        self._crc = crc32(body, self._crc)
        self._pieces.append(asyncio.create_task(self._put_piece(upload_id, len(self._pieces) + 1, body)))

    async def _put_piece(self, upload_id: str, number: int, body: bytes) -> CompletedPartTypeDef:
        crc = checksum(crc32(body))
        try:
            answer = await self._bucket.request(
                self._key,
                lambda: self._bucket.client.upload_part(
                    Bucket=self._bucket.name,
                    Key=self._key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=body,
                    ChecksumCRC32=crc,
                ),
            )
        finally:
            self._slots.release()
        # S3 completes an upload only if every piece is listed with its checksum.
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": crc}

    async def abort(self) -> None:
        """Cancel what is in progress and remove the upload."""
        for piece in self._pieces:
            piece.cancel()
        await asyncio.gather(*self._pieces, return_exceptions=True)
        upload_id, self._upload_id = self._upload_id, None
        if upload_id is not None:
            try:
                await self._bucket.request(
                    self._key,
                    lambda: self._bucket.client.abort_multipart_upload(
                        Bucket=self._bucket.name, Key=self._key, UploadId=upload_id
                    ),
                )
            except TotesysError as error:
                # The rest is invisible.
                log.warning(
                    LogEvent.UPLOAD_ABORT_FAILED,
                    key=self._key,
                    error=str(error),
                    next="the bucket's lifecycle rule removes it",
                )

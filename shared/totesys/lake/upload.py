"""An object written while its bytes are still coming."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

from totesys.errors import LakeUnavailable
from totesys.lake.bucket import Bucket, lake_errors
from totesys.lake.records import Part

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

# Most parts are smaller and go in one put. A piece is held twice at most: one travels while the next one fills.
PIECE_BYTES = 32 * 1024 * 1024
PIECES_IN_FLIGHT = 1


class Upload:
    """Collects bytes into one object: a single put if they are few, a multipart upload else.

    Nothing is visible before `finish`; who gives up before that calls `abort`.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._upload_id: str | None = None
        self._pieces: list[asyncio.Task[CompletedPartTypeDef]] = []
        self._slots = asyncio.Semaphore(PIECES_IN_FLIGHT)
        self._sent = 0
        self._crc = 0

    async def write(self, data: bytes) -> None:
        """Append `data`. Raises LakeUnavailable if a piece could not be sent."""
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting >= PIECE_BYTES:
            await self._send_piece()

    async def finish(self, rows: int) -> Part:
        """Make the object visible and say what it holds."""
        if self._upload_id is None:
            return await self._bucket.put_part(self._key, self._take(), rows)
        if self._chunks:
            await self._send_piece()
        pieces = await asyncio.gather(*self._pieces)
        with lake_errors(self._bucket.where(self._key)):
            await self._bucket.client.complete_multipart_upload(
                Bucket=self._bucket.name,
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": pieces},
            )
        return Part(key=self._key, rows=rows, bytes=self._sent, crc32=f"{self._crc:08x}")

    def _take(self) -> bytes:
        body = b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        return body

    async def _send_piece(self) -> None:
        if self._upload_id is None:
            with lake_errors(self._bucket.where(self._key)):
                created = await self._bucket.client.create_multipart_upload(Bucket=self._bucket.name, Key=self._key)
            self._upload_id = created["UploadId"]
        for piece in self._pieces:
            if piece.done():
                piece.result()
        await self._slots.acquire()
        body = self._take()
        self._sent += len(body)
        self._crc = crc32(body, self._crc)
        self._pieces.append(asyncio.create_task(self._put_piece(self._upload_id, len(self._pieces) + 1, body)))

    async def _put_piece(self, upload_id: str, number: int, body: bytes) -> CompletedPartTypeDef:
        try:
            with lake_errors(self._bucket.where(self._key)):
                answer = await self._bucket.client.upload_part(
                    Bucket=self._bucket.name, Key=self._key, UploadId=upload_id, PartNumber=number, Body=body
                )
        finally:
            self._slots.release()
        return {"PartNumber": number, "ETag": answer["ETag"]}

    async def abort(self) -> None:
        """Leave no object behind."""
        for piece in self._pieces:
            piece.cancel()
        await asyncio.gather(*self._pieces, return_exceptions=True)
        if self._upload_id is not None:
            # What is left behind then is invisible, and the bucket's lifecycle removes it.
            with suppress(LakeUnavailable), lake_errors(self._bucket.where(self._key)):
                await self._bucket.client.abort_multipart_upload(
                    Bucket=self._bucket.name, Key=self._key, UploadId=self._upload_id
                )

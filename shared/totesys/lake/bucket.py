"""A bucket, with conditional puts, whose answers are whole or are asked for again."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4
from zlib import crc32

import aiohttp
from aiobotocore.response import AioReadTimeoutError
from botocore.exceptions import ClientError, FlexibleChecksumError, IncompleteReadError, ResponseStreamingError
from botocore.parsers import ResponseParserError
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from totesys.aws_client import answered, error_code
from totesys.errors import CorruptObject
from totesys.lake.records import Part

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import ListObjectsV2OutputTypeDef

T = TypeVar("T")

_MISSING = {"NoSuchKey", "404"}
_LOST_RACE = {"PreconditionFailed", "NoSuchKey"}
_WRITER = "writer"
_DELETED_AT_ONCE = 20

# The client asks again for an answer that does not come, not for one that comes damaged: a body is read when the client
# is done. A part that is not what its manifest says may be damaged on its way, or where it lies.
_DAMAGES = (
    aiohttp.ClientPayloadError,
    AioReadTimeoutError,
    CorruptObject,
    FlexibleChecksumError,
    IncompleteReadError,
    ResponseParserError,
    ResponseStreamingError,
)
# What we sent came damaged, or met another request for the same key.
_DAMAGE_CODES = {"BadDigest", "ConditionalRequestConflict", "OperationAborted"}


def _damaged(error: BaseException) -> bool:
    return isinstance(error, _DAMAGES) or (isinstance(error, ClientError) and error_code(error) in _DAMAGE_CODES)


@retry(
    retry=retry_if_exception(_damaged),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_attempt(4),
    reraise=True,
)
async def _whole(request: Callable[[], Awaitable[T]]) -> T:
    return await request()


def checksum(crc: int) -> str:
    """A CRC-32 as S3 takes it. Bytes that arrive damaged are then refused."""
    return b64encode(crc.to_bytes(4, "big")).decode()


def writer() -> dict[str, str]:
    """Metadata by which an object is known to be this write's, whatever became of the answer. See `Bucket.wrote`."""
    return {_WRITER: str(uuid4())}


class Bucket:
    """One bucket. Every method raises what `lake_errors` says, within ANSWER_SECONDS.

    `remedy` says what to do about a part that is corrupt.
    """

    def __init__(self, client: S3Client, name: str, remedy: str = "Restore it.") -> None:
        self.client = client
        self.name = name
        self._remedy = remedy

    def where(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    async def ask(self, key: str, request: Callable[[], Awaitable[T]]) -> T:
        """What a request about `key` gives; made a few times if an answer comes damaged."""
        async with answered(self.where(key)):
            return await _whole(request)

    async def get(self, key: str) -> bytes | None:
        """The object's bytes; None if there is none."""
        found = await self.get_with_etag(key)
        return found[0] if found else None

    async def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """The object's bytes and its entity tag; None if there is none."""
        # S3 gives the checksum that the object was put with, and the client compares.
        return await self.ask(key, lambda: self._read(key, ChecksumMode="ENABLED"))

    async def get_part(self, part: Part) -> bytes:
        """A part's bytes. Raises CorruptObject if they are not the ones that its manifest names."""

        async def read() -> bytes:
            body, _ = await self._read(part.key) or (None, "")
            if body is None or len(body) != part.bytes or f"{crc32(body):08x}" != part.crc32:
                state = "is missing" if body is None else "is not what its manifest says"
                raise CorruptObject(f"{self.where(part.key)} {state}. {self._remedy}")
            return body

        return await self.ask(part.key, read)

    async def _read(self, key: str, **options: Any) -> tuple[bytes, str] | None:
        try:
            response = await self.client.get_object(Bucket=self.name, Key=key, **options)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
        async with response["Body"] as body:
            return await body.read(), response["ETag"]

    async def put(self, key: str, body: bytes) -> None:
        """Write the object, whatever was there."""
        await self._put(key, body)

    async def put_part(self, key: str, body: bytes, rows: int) -> Part:
        """Write an object of rows, whatever was there; what a manifest says of it."""
        crc = crc32(body)
        await self._put(key, body, ChecksumCRC32=checksum(crc))
        return Part(key=key, rows=rows, bytes=len(body), crc32=f"{crc:08x}")

    async def _put(self, key: str, body: bytes, **options: Any) -> None:
        await self.ask(key, lambda: self.client.put_object(Bucket=self.name, Key=key, Body=body, **options))

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is not there is as good."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            await asyncio.gather(*map(self._delete, keys[start : start + _DELETED_AT_ONCE]))

    async def _delete(self, key: str) -> None:
        await self.ask(key, lambda: self.client.delete_object(Bucket=self.name, Key=key))

    async def put_new(self, key: str, body: bytes) -> bool:
        """Write the object unless there is one; whether it was written."""
        return await self._put_if(key, body, IfNoneMatch="*")

    async def put_instead(self, key: str, body: bytes, etag: str) -> bool:
        """Write the object if it still has this entity tag; whether it was written."""
        return await self._put_if(key, body, IfMatch=etag)

    async def _put_if(self, key: str, body: bytes, **condition: Any) -> bool:
        ours = writer()

        async def put() -> bool:
            try:
                await self.client.put_object(Bucket=self.name, Key=key, Body=body, Metadata=ours, **condition)
            except ClientError as error:
                if error_code(error) not in _LOST_RACE:
                    raise
                # The race may have been won by the try before, whose answer was lost.
                return await self.wrote(key, ours)
            return True

        return await self.ask(key, put)

    async def wrote(self, key: str, ours: dict[str, str]) -> bool:
        """Whether the object that is there is the one of this `writer`. Two writers may write the same bytes."""
        try:
            found = await self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return False
            raise
        return found["Metadata"].get(_WRITER) == ours[_WRITER]

    async def keys(self, prefix: str, after: str = "", at_once: int = 1000) -> AsyncIterator[str]:
        """The keys that start with `prefix` and come after `after`, in order, asked for as `entries` does."""
        async for key, _ in self.entries(prefix, after, at_once):
            yield key

    async def entries(self, prefix: str, after: str = "", at_once: int = 1000) -> AsyncIterator[tuple[str, str]]:
        """The keys as `keys` gives them, each with its entity tag; so many are asked for at once, 1000 at the most."""
        more = True
        while more:
            page = await self._page(prefix, after, at_once)
            for entry in page.get("Contents", []):
                after = entry["Key"]
                yield after, entry["ETag"]
            more = page["IsTruncated"]

    async def _page(self, prefix: str, after: str, at_once: int) -> ListObjectsV2OutputTypeDef:
        return await self.ask(
            prefix,
            lambda: self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, StartAfter=after, MaxKeys=at_once),
        )


class UnchangedBucket(Bucket):
    """A bucket to be read: every put is left undone, for who does again what others have done and recorded."""

    async def _put(self, key: str, body: bytes, **options: Any) -> None:
        pass

    async def _put_if(self, key: str, body: bytes, **condition: Any) -> bool:
        return False

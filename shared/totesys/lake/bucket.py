"""A bucket with conditional writes, which retries requests whose answer arrives damaged."""

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
# The largest object that is read without knowing its size from a manifest: a record lists all parts of its run.
RECORD_BYTES = 256 * 1024 * 1024

# The client retries requests without an answer, but not damaged answers: it is done before the body is read. A part
# that is not what its manifest says may be damaged in transit or in the bucket.
_DAMAGES = (
    aiohttp.ClientPayloadError,
    AioReadTimeoutError,
    CorruptObject,
    FlexibleChecksumError,
    IncompleteReadError,
    ResponseParserError,
    ResponseStreamingError,
)
# The request arrived damaged, or conflicted with another one for the same key.
_DAMAGE_CODES = {"BadDigest", "ConditionalRequestConflict", "OperationAborted"}


def _damaged(error: BaseException) -> bool:
    return isinstance(error, _DAMAGES) or (isinstance(error, ClientError) and error_code(error) in _DAMAGE_CODES)


@retry(
    retry=retry_if_exception(_damaged),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_attempt(4),
    reraise=True,
)
async def _retrying(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


def checksum(crc: int) -> str:
    """A CRC-32 in the form of S3, which refuses a body that doesn't match it."""
    return b64encode(crc.to_bytes(4, "big")).decode()


def writer() -> dict[str, str]:
    """Metadata that identifies an object as the result of one write. See `Bucket.wrote`."""
    return {_WRITER: str(uuid4())}


class Bucket:
    """One bucket. Every method raises as `lake_errors` does, within ANSWER_SECONDS.

    `remedy` says what to do about a corrupt part.
    """

    def __init__(self, client: S3Client, name: str, remedy: str = "Restore it.") -> None:
        self.client = client
        self.name = name
        self._remedy = remedy

    def where(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    async def request(self, key: str, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call about `key`, which is retried a few times if its answer arrives damaged."""
        async with answered(self.where(key)):
            return await _retrying(call)

    async def get(self, key: str) -> bytes | None:
        """The object's bytes; None if there is none."""
        found = await self.get_with_etag(key)
        return found[0] if found else None

    async def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """The object's bytes and its entity tag; None if there is none."""
        # S3 returns the checksum that the object was written with, and the client verifies it.
        return await self.request(key, lambda: self._read(key, ChecksumMode="ENABLED"))

    async def get_part(self, part: Part) -> bytes:
        """A part's bytes. Raises CorruptObject if they are not what its manifest says."""

        async def read() -> bytes:
            body, _ = await self._read(part.key, most=part.bytes) or (None, "")
            if body is None or len(body) != part.bytes or f"{crc32(body):08x}" != part.crc32:
                state = "is missing" if body is None else "is not what its manifest says"
                raise CorruptObject(f"{self.where(part.key)} {state}. {self._remedy}")
            return body

        return await self.request(part.key, read)

    async def _read(self, key: str, most: int = RECORD_BYTES, **options: Any) -> tuple[bytes, str] | None:
        try:
            response = await self.client.get_object(Bucket=self.name, Key=key, **options)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
        async with response["Body"] as body:
            if response["ContentLength"] > most:
                reason = "is too large for a record" if most == RECORD_BYTES else "is not what its manifest says"
                raise CorruptObject(
                    f"{self.where(key)} {reason}: it has {response['ContentLength']} bytes. {self._remedy}"
                )
            return await body.read(), response["ETag"]

    async def put(self, key: str, body: bytes) -> None:
        """Write the object, and replace one that is there."""
        await self._put(key, body)

    async def put_part(self, key: str, body: bytes, rows: int) -> Part:
        """Write an object of rows, and replace one that is there. Returns its entry in a manifest."""
        crc = crc32(body)
        await self._put(key, body, ChecksumCRC32=checksum(crc))
        return Part(key=key, rows=rows, bytes=len(body), crc32=f"{crc:08x}")

    async def _put(self, key: str, body: bytes, **options: Any) -> None:
        await self.request(key, lambda: self.client.put_object(Bucket=self.name, Key=key, Body=body, **options))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects. Ignores those that are not there."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            await asyncio.gather(*map(self._delete, keys[start : start + _DELETED_AT_ONCE]))

    async def _delete(self, key: str) -> None:
        await self.request(key, lambda: self.client.delete_object(Bucket=self.name, Key=key))

    async def put_new(self, key: str, body: bytes) -> bool:
        """Write the object unless there is one. Returns whether it was written."""
        return await self._put_if(key, body, IfNoneMatch="*")

    async def put_instead(self, key: str, body: bytes, etag: str) -> bool:
        """Write the object if it still has this entity tag. Returns whether it was written."""
        return await self._put_if(key, body, IfMatch=etag)

    async def _put_if(self, key: str, body: bytes, **condition: Any) -> bool:
        ours = writer()

        async def put() -> bool:
            try:
                await self.client.put_object(Bucket=self.name, Key=key, Body=body, Metadata=ours, **condition)
            except ClientError as error:
                if error_code(error) not in _LOST_RACE:
                    raise
                # An earlier try may have won, and its answer been lost.
                return await self.wrote(key, ours)
            return True

        return await self.request(key, put)

    async def wrote(self, key: str, ours: dict[str, str]) -> bool:
        """Whether the object comes from the write with this metadata. Two writers may write the same bytes."""
        try:
            found = await self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return False
            raise
        return found["Metadata"].get(_WRITER) == ours[_WRITER]

    async def keys(self, prefix: str, after: str = "", at_once: int = 1000) -> AsyncIterator[str]:
        """The keys with the prefix that come after `after`, in order; `at_once` as in `entries`."""
        async for key, _ in self.entries(prefix, after, at_once):
            yield key

    async def entries(self, prefix: str, after: str = "", at_once: int = 1000) -> AsyncIterator[tuple[str, str]]:
        """The same keys, each with its entity tag. One request lists `at_once` of them, at most 1000."""
        more = True
        while more:
            page = await self._page(prefix, after, at_once)
            for entry in page.get("Contents", []):
                after = entry["Key"]
                yield after, entry["ETag"]
            more = page["IsTruncated"]

    async def _page(self, prefix: str, after: str, at_once: int) -> ListObjectsV2OutputTypeDef:
        return await self.request(
            prefix,
            lambda: self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, StartAfter=after, MaxKeys=at_once),
        )


class UnchangedBucket(Bucket):
    """A bucket that is only read. Writes do nothing: what they would write is there already."""

    async def _put(self, key: str, body: bytes, **options: Any) -> None:
        pass

    async def _put_if(self, key: str, body: bytes, **condition: Any) -> bool:
        return False

"""A bucket, with conditional puts, and S3's errors as ours."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zlib import crc32

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from totesys.errors import AccessDenied, CorruptObject, LakeUnavailable, SettingsError
from totesys.lake.records import Part

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

# Five tries with the client's own jittered back-off; no socket is read for longer than a minute.
CLIENT_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
    retries={"mode": "standard", "max_attempts": 5},
    # What is read is compared with its manifest's checksum anyway.
    response_checksum_validation="when_required",
)

_MISSING = {"NoSuchKey", "404"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken"}
_LOST_RACE = {"PreconditionFailed", "ConditionalRequestConflict"}


@contextmanager
def lake_errors(what: str) -> Iterator[None]:
    """Turn an AWS error about `what` into LakeUnavailable, AccessDenied or SettingsError."""
    try:
        yield
    except ClientError as error:
        code, status = error_code(error), error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        said = str(error).rstrip(".")
        if code in _REFUSED:
            raise AccessDenied(
                f"AWS refuses access to {what}: {said}. Grant the right, or correct the credentials."
            ) from error
        if code in {"NoSuchBucket", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}:
            raise SettingsError(
                f"{what} does not exist: {said}. Deploy the data plane, or correct the name."
            ) from error
        if status < 500 and code not in {"SlowDown", "Throttling", "RequestTimeout", "ThrottlingException"}:
            raise
        raise LakeUnavailable(f"AWS cannot serve {what} now: {said}.") from error
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise LakeUnavailable(f"{what} cannot be reached: {str(error).rstrip('.')}.") from error


def error_code(error: ClientError) -> str:
    """The code that AWS gave, such as `NoSuchKey`."""
    return error.response.get("Error", {}).get("Code", "")


class Bucket:
    """One bucket. Every method raises what `lake_errors` says."""

    def __init__(self, client: S3Client, name: str) -> None:
        self.client = client
        self.name = name

    def where(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    async def get(self, key: str) -> bytes | None:
        """The object's bytes; None if there is none."""
        found = await self.get_with_etag(key)
        return found[0] if found else None

    async def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """The object's bytes and its entity tag; None if there is none."""
        with lake_errors(self.where(key)):
            try:
                response = await self.client.get_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise
            async with response["Body"] as body:
                return await body.read(), response["ETag"]

    async def get_part(self, part: Part) -> bytes:
        """A part's bytes. Raises CorruptObject if they are not the ones that its manifest names."""
        body = await self.get(part.key)
        if body is None or len(body) != part.bytes or f"{crc32(body):08x}" != part.crc32:
            state = "is missing" if body is None else "is not what its manifest says"
            raise CorruptObject(
                f"{self.where(part.key)} {state}. Restore it, or trigger the run's earlier stage again."
            )
        return body

    async def put(self, key: str, body: bytes) -> None:
        """Write the object, whatever was there."""
        with lake_errors(self.where(key)):
            await self.client.put_object(Bucket=self.name, Key=key, Body=body)

    async def put_part(self, key: str, body: bytes, rows: int) -> Part:
        """Write an object of rows, whatever was there; what a manifest says of it. S3 refuses damaged bytes."""
        crc = crc32(body)
        checksum = b64encode(crc.to_bytes(4, "big")).decode()
        with lake_errors(self.where(key)):
            await self.client.put_object(Bucket=self.name, Key=key, Body=body, ChecksumCRC32=checksum)
        return Part(key=key, rows=rows, bytes=len(body), crc32=f"{crc:08x}")

    async def put_new(self, key: str, body: bytes) -> bool:
        """Write the object unless there is one; whether it was written."""
        return await self._won(key, self.client.put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*"))

    async def put_instead(self, key: str, body: bytes, etag: str) -> bool:
        """Write the object if it still has this entity tag; whether it was written."""
        return await self._won(key, self.client.put_object(Bucket=self.name, Key=key, Body=body, IfMatch=etag))

    async def _won(self, key: str, put: Awaitable[object]) -> bool:
        with lake_errors(self.where(key)):
            try:
                await put
            except ClientError as error:
                if error_code(error) in _LOST_RACE:
                    return False
                raise
            return True

    async def keys(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """The keys that start with `prefix` and come after `after`, in order."""
        with lake_errors(self.where(prefix)):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, StartAfter=after
            )
            async for page in pages:
                for entry in page.get("Contents", []):
                    yield entry["Key"]

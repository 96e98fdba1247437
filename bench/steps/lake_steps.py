"""Parts into S3 and out of it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection
from zlib import crc32

from aiobotocore.session import get_session

from bench.steps import loopback
from bench.steps.database_steps import CsvPart
from bench.steps.meter import Amount, Meter, in_thread
from totesys.aws_client import CLIENT_CONFIG
from totesys.lake.bucket import Bucket
from totesys.lake.records import Part
from totesys.lake.upload import Upload
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.supervised_process import SupervisedProcess
from totesys_infra import data_plane_template


@asynccontextmanager
async def local_bucket() -> AsyncIterator[Bucket]:
    """A bucket of an emulator of its own. Raises LocalStackError."""
    with await asyncio.to_thread(Emulator.start) as emulator:
        plane = await asyncio.to_thread(emulator.apply, data_plane_template())
        environment = plane.environment()
        async with get_session().create_client(
            "s3",
            region_name=plane.region,
            endpoint_url=plane.endpoint_url,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=CLIENT_CONFIG,
        ) as client:
            yield Bucket(client, plane.ingest_bucket)


@contextmanager
def loopback_server() -> Iterator[HTTPConnection]:
    """A connection to a server that keeps nothing."""
    with SupervisedProcess.start([sys.executable, "-I", loopback.__file__], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        connection = HTTPConnection(LOOPBACK, int(server.stdout.readline()))
        try:
            yield connection
        finally:
            connection.close()


async def s3_put(meter: Meter, bucket: Bucket, socket: HTTPConnection, parts: Sequence[CsvPart]) -> None:
    """Measure uploads of parts as their bytes arrive."""

    async def upload() -> None:
        for number, part in enumerate(parts):
            target = Upload(bucket, f"part-{number}.csv")
            for chunk in part.chunks:
                await target.write(chunk)
            await target.finish(part.rows)

    def send(body: bytes) -> None:
        socket.request("PUT", "/", body)
        socket.getresponse().read()

    bodies = [b"".join(part.chunks) for part in parts]
    amount = Amount(sum(part.rows for part in parts), sum(map(len, bodies)))
    await meter.measure("S3 put", amount, upload, "the same bytes into a socket", in_thread(send, bodies))


async def s3_get(meter: Meter, bucket: Bucket, socket: HTTPConnection, bodies: Sequence[tuple[int, bytes]]) -> None:
    """Measure downloads of parts, of so many rows each."""
    parts = []
    for number, (rows, body) in enumerate(bodies):
        part = Part(key=f"part-{number}.parquet", rows=rows, bytes=len(body), crc32=f"{crc32(body):08x}")
        await bucket.put(part.key, body)
        parts.append(part)

    async def download() -> None:
        for part in parts:
            await bucket.get_part(part)

    def receive(size: int) -> None:
        socket.request("GET", f"/{size}")
        socket.getresponse().read()

    sizes = [part.bytes for part in parts]
    amount = Amount(sum(part.rows for part in parts), sum(sizes))
    await meter.measure("S3 get", amount, download, "as many bytes from a socket", in_thread(receive, sizes))

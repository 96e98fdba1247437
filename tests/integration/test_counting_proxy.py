"""The proxy in front of the emulator changes nothing, and counts."""

import asyncio

import boto3
from botocore.config import Config

from bench.counting_proxy import counting_proxy
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import REGION
from totesys_cli.local.local_data_plane import LocalDataPlane

KEY, BODY = "a b/ü", b"\x00body\xff"


def put_and_get(plane: LocalDataPlane) -> bytes:
    session = boto3.Session(plane.credentials.access_key, plane.credentials.secret_key, region_name=REGION)
    s3 = session.client("s3", endpoint_url=plane.endpoint_url, config=Config(s3={"addressing_style": "path"}))
    s3.put_object(Bucket=plane.code_bucket, Key=KEY, Body=BODY)
    found: bytes = s3.get_object(Bucket=plane.code_bucket, Key=KEY)["Body"].read()
    return found


async def test_requests_pass_unchanged_and_are_counted(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    async with counting_proxy(emulator.endpoint_url) as proxy:
        plane = proxy.in_front_of(data_plane)
        assert plane.load_queue_url == data_plane.load_queue_url.replace(emulator.endpoint_url, proxy.url)
        assert await asyncio.to_thread(put_and_get, plane) == BODY
        assert proxy.counts == {"S3 PutObject": 1, "S3 GetObject": 1}
    direct = emulator.s3.get_object(Bucket=data_plane.code_bucket, Key=KEY)
    assert direct["Body"].read() == BODY

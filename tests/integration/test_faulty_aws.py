"""The proxy that breaks requests breaks those that it is told to, and passes on the others as they are."""

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from tests.faulty_aws import Fault, FaultyAws, faulty_aws, refused
from totesys.aws_client import error_code
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import REGION
from totesys_cli.local.local_data_plane import LocalDataPlane

KEY, BODY = "a b/ü", b"\x00body\xff"
PUT = "S3 PutObject"


async def puts(aws: FaultyAws, plane: LocalDataPlane, count: int) -> list[str]:
    """How each of so many puts, one after another, was refused; nothing where it was not."""
    config = AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    refusals: list[str] = []
    async with get_session().create_client(
        "s3",
        endpoint_url=aws.endpoint_url,
        region_name=REGION,
        aws_access_key_id=plane.credentials.access_key,
        aws_secret_access_key=plane.credentials.secret_key,
        config=config,
    ) as client:
        for _ in range(count):
            try:
                await client.put_object(Bucket=plane.code_bucket, Key=KEY, Body=BODY)
                refusals.append("")
            except ClientError as error:
                refusals.append(error_code(error))
    return refusals


async def test_without_faults_requests_pass_unchanged(
    aws: FaultyAws, emulator: Emulator, data_plane: LocalDataPlane
) -> None:
    assert await puts(aws, data_plane, 1) == [""]
    assert emulator.s3.get_object(Bucket=data_plane.code_bucket, Key=KEY)["Body"].read() == BODY
    assert (aws.seen, aws.broken) == ({PUT: 1}, {})
    queue = aws.in_front_of(data_plane).load_queue_url
    assert queue == data_plane.load_queue_url.replace(emulator.endpoint_url, aws.endpoint_url)


async def test_what_goes_wrong_can_be_changed_while_it_runs(aws: FaultyAws, data_plane: LocalDataPlane) -> None:
    slow_down = refused("SlowDown", 503)
    aws.inject(Fault("SQS *", slow_down), Fault("S3 Put*", slow_down, times=2))
    assert await puts(aws, data_plane, 4) == ["SlowDown", "SlowDown", "", ""]
    aws.inject(Fault("*", slow_down))
    assert await puts(aws, data_plane, 1) == ["SlowDown"]
    aws.inject()
    assert await puts(aws, data_plane, 1) == [""]
    assert aws.broken == {PUT: 3}


async def test_the_same_seed_breaks_the_same_requests(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    outcomes = []
    for seed in (1, 1, 2):
        async with faulty_aws(
            emulator.endpoint_url, Fault(PUT, refused("SlowDown", 503), chance=0.5), seed=seed
        ) as aws:
            outcomes.append(await puts(aws, data_plane, 20))
    assert outcomes[0] == outcomes[1] != outcomes[2]

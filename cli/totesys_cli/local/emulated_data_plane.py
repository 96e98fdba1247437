"""`totesys local data-plane`: the data plane in an emulator that already runs."""

from dataclasses import asdict
from datetime import timedelta

import boto3
from botocore.config import Config

from totesys_cli.command_errors import UsageError
from totesys_cli.data_plane_clients import aws_errors
from totesys_cli.durations import schedule_expression
from totesys_cli.local.emulator_access import REGION, Credentials, known
from totesys_cli.local.local_data_plane import make_data_plane
from totesys_cli.terminal import Output
from totesys_infra import data_plane_template

_CONFIG = Config(connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"})


def deploy(output: Output, endpoint: str, name: str, every: timedelta, *, lakehouse: bool = False) -> None:
    """Create the data plane `name` in the emulator at `endpoint`, or update it. Raises UsageError, LocalStackError."""
    schedule = schedule_expression(every)
    if schedule is None:
        raise UsageError("The emulator's schedule takes whole minutes only: 1m, 5m, 1h.")
    credentials = known(endpoint) or _configured()
    with aws_errors("AWS"):
        session = boto3.Session(credentials.access_key, credentials.secret_key, region_name=REGION)
        cloudformation = session.client("cloudformation", endpoint_url=endpoint, config=_CONFIG)
        s3 = session.client("s3", endpoint_url=endpoint, config=_CONFIG)
    template = data_plane_template()
    plane = make_data_plane(cloudformation, s3, endpoint, credentials, template, name, schedule, lakehouse=lakehouse)
    document = {key: value for key, value in asdict(plane).items() if key != "credentials"}
    buckets = f"{plane.ingest_bucket}, {plane.processed_bucket} and {plane.code_bucket}"
    queues = "eight" if lakehouse else "six"
    output.result(document, f"The data plane {name} is ready: buckets {buckets}, {queues} queues, a {schedule} tick.")


def _configured() -> Credentials:
    with aws_errors("AWS"):
        found = boto3.Session().get_credentials()
    if found is None:
        raise UsageError("The AWS settings name no credentials. Set those of the emulator.")
    return Credentials(found.access_key, found.secret_key)

"""How many messages the queues hold, as SQS counts them: about."""

import asyncio
from typing import TYPE_CHECKING, Final

from aiobotocore.session import get_session

from totesys.aws_client import CLIENT_CONFIG
from totesys.stage_names import STAGES
from totesys_cli.aws import aws_errors
from totesys_cli.place import Place
from totesys_cli.status.snapshot import QueueStatus

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

_VISIBLE: Final = "ApproximateNumberOfMessages"
_HIDDEN: Final = "ApproximateNumberOfMessagesNotVisible"


async def read_queues(place: Place) -> list[QueueStatus]:
    """The three queues, each with its dead-letter queue. Raises what `aws_errors` says."""
    with aws_errors("AWS"):
        async with get_session().create_client("sqs", config=CLIENT_CONFIG, **place.client()) as client:
            return list(await asyncio.gather(*(_read(client, place, stage) for stage in STAGES)))


async def _read(client: "SQSClient", place: Place, stage: str) -> QueueStatus:
    name = f"{place.name}-{stage}"
    (waiting, at_work), dead = await asyncio.gather(_counts(client, name), _counts(client, f"{name}-dlq"))
    return QueueStatus(stage=stage, waiting=waiting, at_work=at_work, dead_letters=sum(dead))


async def _counts(client: "SQSClient", name: str) -> tuple[int, int]:
    with aws_errors(name):
        url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
        found = (await client.get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBLE, _HIDDEN]))["Attributes"]
    return int(found[_VISIBLE]), int(found[_HIDDEN])

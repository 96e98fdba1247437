"""The SQS queue that wakes a service, and its dead-letter queue."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from totesys.aws_client import CLIENT_CONFIG, answered, message_is_lost

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import MessageTypeDef

# SQS takes an attribute of any length below the message's 256 KiB; a reason needs no more than this.
REASON_CHARACTERS = 1000
_WAITING: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"
# What SQS takes in a text is what XML does: "SendMessage" in its API reference.
_NOT_TAKEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Message:
    """A received message. `receives` counts this receive."""

    id: str
    body: str
    receipt: str
    receives: int


@dataclass(frozen=True)
class Depth:
    """About how many messages wait in a queue, and how many are hidden because somebody works on them or will again."""

    waiting: int
    in_flight: int


@dataclass(frozen=True)
class DeadLetter:
    """A received dead letter. `reason` is there where the service itself gave it up."""

    id: str
    body: str
    receipt: str
    reason: str | None


class Queue:
    """A queue with its dead-letter queue. Every method raises what `lake_errors` says."""

    def __init__(self, client: SQSClient, url: str, dlq_url: str) -> None:
        self._client = client
        self.url = url
        self.dlq_url = dlq_url

    async def send(self, body: str) -> str:
        """Queue a message; its id."""
        async with answered(self.url):
            return (await self._client.send_message(QueueUrl=self.url, MessageBody=body))["MessageId"]

    async def receive(self, wait: timedelta, visibility: timedelta) -> Message | None:
        """The next message, hidden from others for `visibility`; None if none comes within `wait`."""
        async with answered(self.url):
            answer = await self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=int(wait.total_seconds()),
                VisibilityTimeout=int(visibility.total_seconds()),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        for message in answer.get("Messages", []):
            receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
            return Message(message["MessageId"], message["Body"], message["ReceiptHandle"], receives)
        return None

    async def hide(self, message: Message, time: timedelta) -> None:
        """Keep a message from being received for `time` from now; zero gives it back at once.

        Nothing is to be done for one that is gone, or that another has received because its time ran out.
        """
        async with self._unless_lost():
            await self._client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=int(time.total_seconds())
            )

    async def delete(self, message: Message) -> None:
        """Remove a message. One that is gone already, because its visibility ran out, is no error."""
        async with self._unless_lost():
            await self._client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    @asynccontextmanager
    async def _unless_lost(self) -> AsyncIterator[None]:
        async with answered(self.url):
            try:
                yield
            except ClientError as error:
                if not message_is_lost(error):
                    raise

    async def bury(self, message: Message, reason: str) -> None:
        """Move a message to the dead-letter queue with its reason; sent there before it is deleted here."""
        attributes = {"reason": _NOT_TAKEN.sub("?", reason[:REASON_CHARACTERS]), "message_id": message.id}
        async with answered(self.dlq_url):
            await self._client.send_message(
                QueueUrl=self.dlq_url,
                MessageBody=message.body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
        await self.delete(message)

    async def depths(self) -> tuple[Depth, Depth]:
        """About how many messages there are, in the queue and in its dead-letter queue."""
        depth, dead = await asyncio.gather(self._depth(self.url), self._depth(self.dlq_url))
        return depth, dead

    async def _depth(self, url: str) -> Depth:
        async with answered(url):
            answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=[_WAITING, _IN_FLIGHT])
        said = answer.get("Attributes", {})
        return Depth(int(said.get(_WAITING, 0)), int(said.get(_IN_FLIGHT, 0)))

    async def dead_letters(self, most: int, visibility: timedelta) -> list[DeadLetter]:
        """Some of the dead letters, hidden from others for `visibility`; at most ten, as SQS has it."""
        async with answered(self.dlq_url):
            answer = await self._client.receive_message(
                QueueUrl=self.dlq_url,
                MaxNumberOfMessages=min(most, 10),
                WaitTimeSeconds=1,
                VisibilityTimeout=int(visibility.total_seconds()),
                MessageAttributeNames=["reason"],
            )
        return [_dead_letter(message) for message in answer.get("Messages", [])]

    async def revive(self, letter: DeadLetter) -> None:
        """Send a dead letter back to the queue; sent before it is deleted, for twice changes nothing and never does."""
        await self.send(letter.body)
        async with answered(self.dlq_url):
            try:
                await self._client.delete_message(QueueUrl=self.dlq_url, ReceiptHandle=letter.receipt)
            except ClientError as error:
                if not message_is_lost(error):
                    raise

    def beside(self, url: str, dlq_url: str) -> Queue:
        """Another queue, asked by the same client."""
        return Queue(self._client, url, dlq_url)

    async def check(self) -> None:
        """Ask whether the queue answers."""
        async with answered(self.url):
            await self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])


def _dead_letter(message: MessageTypeDef) -> DeadLetter:
    attributes = message.get("MessageAttributes", {})
    reason = attributes["reason"].get("StringValue") if "reason" in attributes else None
    return DeadLetter(message["MessageId"], message["Body"], message["ReceiptHandle"], reason)


@asynccontextmanager
async def open_queue(url: str, dlq_url: str) -> AsyncIterator[Queue]:
    """The queue at `url`. Endpoint, region and credentials are the AWS client's own settings."""
    async with get_session().create_client("sqs", config=CLIENT_CONFIG) as client:
        yield Queue(client, url, dlq_url)


@asynccontextmanager
async def find_queue(name: str, **client: Any) -> AsyncIterator[Queue]:
    """The queue of that name, its dead-letter queue beside it; `client` as `create_client` takes it."""
    async with get_session().create_client("sqs", config=CLIENT_CONFIG, **client) as sqs:
        urls = [(await sqs.get_queue_url(QueueName=queue))["QueueUrl"] for queue in (name, f"{name}-dlq")]
        yield Queue(sqs, *urls)

"""The SQS queue of a stage and its dead-letter queue."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from totesys.aws_client import CLIENT_CONFIG, answered, message_is_lost

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import MessageTypeDef

# SQS accepts longer attributes, but a reason needs no more.
REASON_CHARACTERS = 1000
_VISIBLE: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"
# SQS accepts the characters of XML: see "SendMessage" in its API reference.
_NOT_ACCEPTED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Message:
    """A received message. `receives` counts this receive."""

    id: str
    body: str
    receipt: str
    receives: int


@dataclass(frozen=True)
class Depth:
    """About how many messages a queue has: `waiting` are visible, `in_flight` are hidden for work or for a retry."""

    waiting: int
    in_flight: int


@dataclass(frozen=True)
class DeadLetter:
    """A received dead letter. `reason` is None if SQS moved the message, not the service."""

    id: str
    body: str
    receipt: str
    reason: str | None
    sent: datetime


class Queue:
    """A queue with its dead-letter queue. Every method raises what `lake_errors` does."""

    def __init__(self, client: SQSClient, url: str, dlq_url: str) -> None:
        self._client = client
        self.url = url
        self.dlq_url = dlq_url

    async def send(self, body: str) -> str:
        """Queue a message and return its id."""
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
        """Hide a message for `time` from now; zero makes it visible. Ignores one that is no longer this receiver's."""
        async with _ignoring_lost(self.url):
            await self._client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=int(time.total_seconds())
            )

    async def delete(self, message: Message) -> None:
        """Delete a message. Ignores one that is no longer this receiver's."""
        await self._delete(self.url, message.receipt)

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Move a message to the dead-letter queue with its reason. It is sent there before it is deleted here."""
        attributes = {"reason": _NOT_ACCEPTED.sub("?", reason[:REASON_CHARACTERS]), "message_id": message.id}
        async with answered(self.dlq_url):
            await self._client.send_message(
                QueueUrl=self.dlq_url,
                MessageBody=message.body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
        await self.delete(message)

    async def dead_letters(self, most: int, visibility: timedelta) -> list[DeadLetter]:
        """Some of the dead letters, at most ten, hidden from others for `visibility`; zero does not hide them."""
        async with answered(self.dlq_url):
            answer = await self._client.receive_message(
                QueueUrl=self.dlq_url,
                MaxNumberOfMessages=min(most, 10),
                WaitTimeSeconds=1,
                VisibilityTimeout=int(visibility.total_seconds()),
                MessageAttributeNames=["reason"],
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        return [_dead_letter(message) for message in answer.get("Messages", [])]

    async def redrive(self, letter: DeadLetter) -> None:
        """Send a dead letter back to the queue, then delete it: a duplicate is harmless, a lost message is not."""
        await self.send(letter.body)
        await self.discard(letter)

    async def discard(self, letter: DeadLetter) -> None:
        """Delete a dead letter. Ignores one that is no longer this receiver's."""
        await self._delete(self.dlq_url, letter.receipt)

    async def release(self, letter: DeadLetter) -> None:
        """Make a received dead letter visible again. Ignores one that is no longer this receiver's."""
        async with _ignoring_lost(self.dlq_url):
            await self._client.change_message_visibility(
                QueueUrl=self.dlq_url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
            )

    async def _delete(self, url: str, receipt: str) -> None:
        async with _ignoring_lost(url):
            await self._client.delete_message(QueueUrl=url, ReceiptHandle=receipt)

    async def depths(self) -> tuple[Depth, Depth]:
        """The depths of the queue and of its dead-letter queue."""
        depth, dead = await asyncio.gather(self._depth(self.url), self._depth(self.dlq_url))
        return depth, dead

    async def _depth(self, url: str) -> Depth:
        async with answered(url):
            answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBLE, _IN_FLIGHT])
        attributes = answer.get("Attributes", {})
        return Depth(int(attributes.get(_VISIBLE, 0)), int(attributes.get(_IN_FLIGHT, 0)))

    def sibling(self, url: str, dlq_url: str) -> Queue:
        """Another queue, through the same client."""
        return Queue(self._client, url, dlq_url)

    async def check(self) -> None:
        """Check that the queue answers."""
        async with answered(self.url):
            await self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])


@asynccontextmanager
async def _ignoring_lost(url: str) -> AsyncIterator[None]:
    """Ignore that a message is gone, or was received by another because its visibility timeout ended."""
    async with answered(url):
        try:
            yield
        except ClientError as error:
            if not message_is_lost(error):
                raise


def _dead_letter(message: MessageTypeDef) -> DeadLetter:
    attributes = message.get("MessageAttributes", {})
    reason = attributes["reason"].get("StringValue") if "reason" in attributes else None
    sent = datetime.fromtimestamp(int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000, UTC)
    return DeadLetter(message["MessageId"], message["Body"], message["ReceiptHandle"], reason, sent)


@asynccontextmanager
async def open_queue(url: str, dlq_url: str) -> AsyncIterator[Queue]:
    """The queue at `url`. Endpoint, region and credentials are the AWS client's own settings."""
    async with get_session().create_client("sqs", config=CLIENT_CONFIG) as client:
        yield Queue(client, url, dlq_url)


@asynccontextmanager
async def find_queue(name: str, **client: Any) -> AsyncIterator[Queue]:
    """The queue of that name with its dead-letter queue; `client` as `create_client` takes it."""
    async with get_session().create_client("sqs", config=CLIENT_CONFIG, **client) as sqs:
        urls = [(await sqs.get_queue_url(QueueName=queue))["QueueUrl"] for queue in (name, f"{name}-dlq")]
        yield Queue(sqs, *urls)

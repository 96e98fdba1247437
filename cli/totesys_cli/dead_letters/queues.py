"""The dead-letter queues in SQS: what is received is held, and given back unless it is deleted."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from totesys.aws_client import message_is_lost
from totesys_cli.aws import aws_errors
from totesys_cli.dead_letters.interruption import interruptible, undisturbed
from totesys_cli.dead_letters.letter import DeadLetter
from totesys_cli.place import Place
from totesys_cli.progress import LINE_SECONDS, Steps, progress

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# A hanging endpoint is given up after half a minute.
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
# SQS asks only some of its servers for a receive that does not wait.
_WAIT = timedelta(seconds=1)
_BATCH = 10
_THERE: Final = "ApproximateNumberOfMessages"
_HIDDEN: Final = "ApproximateNumberOfMessagesNotVisible"


class DeadLetterQueue:
    """A service's dead-letter queue. Every method raises what `aws_errors` says.

    `there` is about how many messages could be received when this call began, `hidden` how many another call held;
    `full` whether more were there than were asked for.
    """

    def __init__(self, client: "SQSClient", name: str, stage: str) -> None:
        self._client = client
        self._name = f"{name}-{stage}-dlq"
        self._service_name = f"{name}-{stage}"
        self.stage = stage
        self.letters: list[DeadLetter] = []
        self.full = False
        self._receipts: dict[str, str] = {}
        self._url = self._url_of(self._name)
        self._service_url = self._url_of(self._service_name)
        with aws_errors(self._name):
            answer = client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[_THERE, _HIDDEN])
        self.there = int(answer["Attributes"][_THERE])
        self.hidden = int(answer["Attributes"][_HIDDEN])
        # By the clock that also says when a message was sent; the header leaves the rest of its second out.
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        self._began = parsedate_to_datetime(date) + timedelta(seconds=1)

    def _url_of(self, name: str) -> str:
        with aws_errors(name):
            return self._client.get_queue_url(QueueName=name)["QueueUrl"]

    def receive(self, limit: int, visibility: timedelta, steps: Steps) -> None:
        """Receive what was there when the call began, at most `limit` letters, each hidden for `visibility`.

        It ends with the first answer without one of these, so it does not chase a queue that goes on filling.
        """
        taken: dict[str, DeadLetter] = {}
        while len(taken) < limit:
            with undisturbed():
                letters = self._receive(min(_BATCH, limit - len(taken)), visibility)
            new = {letter.id: letter for letter in letters if letter.id not in taken and letter.sent <= self._began}
            if not new:
                break
            taken |= new
            steps.step(f"received from {self._name}", len(new))
        self.full = len(taken) >= limit
        self.letters = list(taken.values())

    def _receive(self, count: int, visibility: timedelta) -> list[DeadLetter]:
        with aws_errors(self._name):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=int(_WAIT.total_seconds()),
                VisibilityTimeout=int(visibility.total_seconds()),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        messages = answer.get("Messages", [])
        # Of one that comes twice the newest receipt counts.
        self._receipts |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
        return [_letter(self.stage, message) for message in messages]

    def send_back(self, letter: DeadLetter) -> bool:
        """Send a letter to the service, then delete it here; False if it could not be deleted any more."""
        with aws_errors(self._service_name):
            self._client.send_message(QueueUrl=self._service_url, MessageBody=letter.body)
        return self.delete(letter)

    def delete(self, letter: DeadLetter) -> bool:
        """Delete a letter that is held; False if it was held for too long, or is gone already."""
        deleted = True
        with aws_errors(self._name):
            try:
                self._client.delete_message(QueueUrl=self._url, ReceiptHandle=self._receipts[letter.id])
            except ClientError as error:
                if not message_is_lost(error):
                    raise
                deleted = False
        del self._receipts[letter.id]
        return deleted

    def give_back(self) -> None:
        """Let others receive at once what is still held. What is refused is no longer held anyway."""
        receipts = list(self._receipts.values())
        for start in range(0, len(receipts), _BATCH):
            with aws_errors(self._name):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                        for number, receipt in enumerate(receipts[start : start + _BATCH])
                    ],
                )


@contextmanager
def holding(
    place: Place, stages: Sequence[str], limit: int, visibility: timedelta
) -> Iterator[dict[str, DeadLetterQueue]]:
    """The stages' queues with their letters, at most `limit` each, hidden from others for `visibility`.

    However the block ends, Ctrl-C and SIGTERM included, what is not deleted can be received again at once; after a
    SIGKILL when `visibility` is over. Raises what `aws_errors` says.
    """
    with interruptible(), closing(sqs_client(place)) as client:
        queues = {stage: DeadLetterQueue(client, place.name, stage) for stage in stages}
        try:
            total = sum(min(queue.there, limit) for queue in queues.values())
            with progress(total, every=LINE_SECONDS) as steps:
                for queue in queues.values():
                    queue.receive(limit, visibility, steps)
            yield queues
        finally:
            with undisturbed():
                for queue in queues.values():
                    queue.give_back()


def sqs_client(place: Place) -> "SQSClient":
    """A client of the queues there, to be closed. Raises what `aws_errors` says."""
    with aws_errors("AWS"):
        return boto3.Session().client("sqs", config=_CONFIG, **place.client())


def _letter(stage: str, message: "MessageTypeDef") -> DeadLetter:
    system = message.get("Attributes", {})
    given = {
        name: value.get("StringValue") or b64encode(value.get("BinaryValue", b"")).decode()
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return DeadLetter(
        stage=stage,
        id=message["MessageId"],
        sent=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
        # SQS counts this time too.
        receives=int(system["ApproximateReceiveCount"]) - 1,
        reason=given.get("reason"),
        message_id=given.get("message_id"),
        body=message["Body"],
        attributes={**{str(name): value for name, value in system.items()}, **given},
    )

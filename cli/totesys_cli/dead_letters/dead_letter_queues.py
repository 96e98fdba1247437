"""The dead-letter queues in SQS: received messages are held, and returned unless they are deleted."""

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Event, Lock
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from totesys.aws_client import message_is_lost
from totesys_cli.data_plane_clients import aws_errors, sqs_client
from totesys_cli.dead_letters.letter import HeldDeadLetter
from totesys_cli.interruption import interruptible, undisturbed
from totesys_cli.options import DataPlaneLocation
from totesys_cli.progress import LINE_SECONDS, progress

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# A receive that waits asks all of SQS's servers; one that does not asks only some.
_WAIT = timedelta(seconds=1)
_BATCH = 10
# A search looks at no more letters of a queue.
_SEARCHED = 1000
_VISIBLE: Final = "ApproximateNumberOfMessages"
_HIDDEN: Final = "ApproximateNumberOfMessagesNotVisible"


class DeadLetterQueue:
    """A service's dead-letter queue. Every method raises as `aws_errors` does.

    `visible` is about how many messages could be received when the call began, `hidden` how many other calls held.
    `full` is whether the queue had at least as many messages as the limit.
    """

    def __init__(self, client: "SQSClient", location: DataPlaneLocation, stage: str) -> None:
        self._client = client
        self._name = location.dead_letter_queue(stage)
        self._service_name = location.queue(stage)
        self.letters: list[HeldDeadLetter] = []
        self.full = False
        self._stage = stage
        self._receipts: dict[str, str] = {}
        self._url = self._url_of(self._name)
        self._service_url = self._url_of(self._service_name)
        with aws_errors(self._name):
            answer = client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[_VISIBLE, _HIDDEN])
        self.visible = int(answer["Attributes"][_VISIBLE])
        self.hidden = int(answer["Attributes"][_HIDDEN])
        # SQS's own clock, which also dates its messages. The header omits fractions of a second.
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        self._began = parsedate_to_datetime(date) + timedelta(seconds=1)

    def _url_of(self, name: str) -> str:
        with aws_errors(name):
            return self._client.get_queue_url(QueueName=name)["QueueUrl"]

    def receive(
        self, limit: int, visibility: timedelta, stopped: Event, on_received: Callable[[str, int], None]
    ) -> None:
        """Receive the messages that existed when the call began, at most `limit`, each hidden for `visibility`.

        It ends with the first answer that has none of these, so it does not chase a queue that is filling.
        """
        held: dict[str, HeldDeadLetter] = {}
        while len(held) < limit and not stopped.is_set():
            letters = self._receive(min(_BATCH, limit - len(held)), visibility)
            new = {letter.id: letter for letter in letters if letter.id not in held and letter.sent <= self._began}
            if not new:
                break
            held |= new
            on_received(self._name, len(new))
        self.full = len(held) >= limit
        self.letters = list(held.values())

    def _receive(self, size: int, visibility: timedelta) -> list[HeldDeadLetter]:
        with aws_errors(self._name):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=size,
                WaitTimeSeconds=int(_WAIT.total_seconds()),
                VisibilityTimeout=int(visibility.total_seconds()),
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        messages = answer.get("Messages", [])
        # If a message comes twice, only the newest receipt is valid.
        self._receipts |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
        return [_letter(self._stage, message) for message in messages]

    def redrive(self, letter: HeldDeadLetter) -> bool:
        """Send a letter to the service, then delete it here; False if it could no longer be deleted."""
        with aws_errors(self._service_name):
            self._client.send_message(QueueUrl=self._service_url, MessageBody=letter.body)
        return self.delete(letter)

    def delete(self, letter: HeldDeadLetter) -> bool:
        """Delete a held letter; False if its visibility ran out, or it is gone."""
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
        """Make all held letters visible again. If SQS refuses one, it is no longer held."""
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
    location: DataPlaneLocation, stages: Sequence[str], limit: int, visibility: timedelta
) -> Iterator[dict[str, DeadLetterQueue]]:
    """The stages' queues with their letters, at most `limit` each, hidden from others for `visibility`.

    However the block ends, Ctrl-C and SIGTERM included, letters that are not deleted become visible at once; after a
    SIGKILL once `visibility` is over. Raises as `aws_errors` does.
    """
    with (
        interruptible(),
        closing(sqs_client(location)) as client,
        ThreadPoolExecutor(len(stages)) as threads,
    ):
        found = threads.map(lambda stage: DeadLetterQueue(client, location, stage), stages)
        queues = dict(zip(stages, found, strict=True))
        try:
            _receive(threads, queues.values(), limit, visibility)
            yield queues
        finally:
            with undisturbed():
                list(threads.map(DeadLetterQueue.give_back, queues.values()))


def _receive(
    threads: ThreadPoolExecutor, queues: Collection[DeadLetterQueue], limit: int, visibility: timedelta
) -> None:
    """Receive from all queues at the same time."""
    stopped, lock = Event(), Lock()
    with progress(sum(min(queue.visible, limit) for queue in queues), every=LINE_SECONDS) as steps:

        def on_received(name: str, letters: int) -> None:
            with lock:
                steps.step(f"received from {name}", letters)

        receives = [threads.submit(queue.receive, limit, visibility, stopped, on_received) for queue in queues]
        try:
            for receive in receives:
                receive.result()
        finally:
            # After an error or Ctrl-C: what is being received has to be returned.
            stopped.set()
            with undisturbed():
                wait(receives)


def find_given_up(location: DataPlaneLocation, stage: str, message_ids: set[str]) -> HeldDeadLetter | None:
    """The dead letter of one of these messages to a stage, if there is one; it stays in its queue."""
    with closing(sqs_client(location)) as client:
        queue = DeadLetterQueue(client, location, stage)
        try:
            queue.receive(_SEARCHED, timedelta(seconds=30), Event(), lambda *_: None)
            return next((letter for letter in queue.letters if {letter.id, letter.message_id} & message_ids), None)
        finally:
            queue.give_back()


def _letter(stage: str, message: "MessageTypeDef") -> HeldDeadLetter:
    system = message.get("Attributes", {})
    given = {
        name: value.get("StringValue") or b64encode(value.get("BinaryValue", b"")).decode()
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return HeldDeadLetter(
        stage=stage,
        id=message["MessageId"],
        sent=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
        # SQS counts this receive too.
        receives=int(system["ApproximateReceiveCount"]) - 1,
        reason=given.get("reason"),
        message_id=given.get("message_id"),
        body=message["Body"],
        attributes={**{str(name): value for name, value in system.items()}, **given},
    )

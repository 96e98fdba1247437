"""The queues of a data plane, seen from outside, and `totesys dlq` for them."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.command import Command, Ended
from totesys.service.queue import open_queue
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane

HIDDEN: Literal["ApproximateNumberOfMessagesNotVisible"] = "ApproximateNumberOfMessagesNotVisible"


@dataclass(frozen=True)
class Plane:
    """A data plane's queues, and the command that is called for them."""

    totesys: Command
    emulator: Emulator
    plane: LocalDataPlane

    def dlq(self, *arguments: str, answer: str = "") -> Ended:
        return self.totesys("dlq", *arguments, *self._options, answer=answer)

    @contextmanager
    def started(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        with self.totesys.started("dlq", *arguments, *self._options) as process:
            yield process

    @property
    def _options(self) -> tuple[str, ...]:
        name = self.plane.ingest_bucket.removesuffix("-ingest")
        return ("--name", name, "--endpoint", self.plane.endpoint_url)

    def url(self, stage: str, kind: str = "dlq") -> str:
        url: str = getattr(self.plane, f"{stage}_{kind}_url")
        return url

    def fill(self, stage: str, bodies: list[str], kind: str = "dlq") -> None:
        for body in bodies:
            self.emulator.sqs.send_message(QueueUrl=self.url(stage, kind), MessageBody=body)

    def messages(self, stage: str, kind: str = "dlq") -> list[dict[str, Any]]:
        """All that a queue holds, hidden ones too, seen without receiving it."""
        where = f"{self.plane.endpoint_url}/_ministack/sqs/messages?" + urlencode({"QueueUrl": self.url(stage, kind)})
        asked = AWSRequest("GET", where)
        key = self.plane.credentials
        SigV4Auth(Credentials(key.access_key, key.secret_key), "sqs", self.plane.region).add_auth(asked)
        page = httpx.get(where, headers=dict(asked.headers))
        accounts = page.json()["messages"].values()
        return [m for regions in accounts for queues in regions.values() for found in queues.values() for m in found]

    def bodies(self, stage: str, kind: str = "dlq") -> Counter[str]:
        return Counter(message["Body"] for message in self.messages(stage, kind))

    def are_visible(self, stage: str) -> bool:
        return all(message["IsVisible"] for message in self.messages(stage))

    def hidden(self, stage: str) -> int:
        answer = self.emulator.sqs.get_queue_attributes(QueueUrl=self.url(stage), AttributeNames=[HIDDEN])
        return int(answer["Attributes"][HIDDEN])

    def most_receives(self, stage: str) -> int:
        """How often a message is received before SQS moves it to the dead-letter queue."""
        answer = self.emulator.sqs.get_queue_attributes(
            QueueUrl=self.url(stage, "queue"), AttributeNames=["RedrivePolicy"]
        )
        return int(json.loads(answer["Attributes"]["RedrivePolicy"])["maxReceiveCount"])

    async def give_up(self, stage: str, body: str, reason: str) -> str:
        """Do what a service does with a message that it can't work on; the message's id there."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.plane.environment().items():
                patch.setenv(name, value)
            async with open_queue(self.url(stage, "queue"), self.url(stage)) as queue:
                await queue.send(body)
                message = await queue.receive(timedelta(seconds=20), timedelta(minutes=5))
                assert message is not None
                await queue.dead_letter(message, reason)
        return message.id

    def receive_too_often(self, stage: str, body: str) -> None:
        """Have SQS move a message that nobody brings to an end."""
        self.fill(stage, [body], "queue")
        while not self.messages(stage):
            self.emulator.sqs.receive_message(QueueUrl=self.url(stage, "queue"), VisibilityTimeout=0, WaitTimeSeconds=0)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do it again and again, until the block ends."""
    ended = Event()

    def again() -> None:
        while not ended.is_set():
            act()

    with ThreadPoolExecutor(1) as threads:
        acting = threads.submit(again)
        try:
            yield
        finally:
            ended.set()
        acting.result()

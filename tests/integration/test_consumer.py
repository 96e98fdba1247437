"""A consumer keeps its message to itself while it works, gives it up in the end, and says when it hears nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.faulty_aws import Fault, FaultyAws, refused, silent
from tests.until import until
from totesys.errors import DatabaseUnavailable
from totesys.lake.store import Lake
from totesys.service.background import Background, Task
from totesys.service.consumer import Consumer
from totesys.service.queue import Queue, open_queue
from totesys.service_settings import ServiceSettings
from totesys.triggers import RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane


@dataclass
class Diary:
    """A stage that writes down what it is asked for, and then does something that takes long or fails."""

    lake: Lake
    then: Callable[[], Awaitable[None]]
    default_trigger: RunsTrigger | None = None
    name: str = "diary"
    database: str | None = None
    begun: int = 0
    ended: int = 0

    async def work(self, wakeup: RunsTrigger) -> None:
        self.begun += 1
        await self.then()
        self.ended += 1

    @property
    def background(self) -> Mapping[str, Task]:
        return {}

    async def check(self) -> None:
        """It has no database."""


@asynccontextmanager
async def consuming(
    plane: LocalDataPlane, stage: Diary, **settings: object
) -> AsyncIterator[tuple[Queue, Consumer[RunsTrigger]]]:
    """A consumer of the transform queue at work; with `long_poll` a second, and these settings."""
    given = {
        "ingest_bucket": plane.ingest_bucket,
        "processed_bucket": plane.processed_bucket,
        "queue_url": plane.transform_queue_url,
        "dlq_url": plane.transform_dlq_url,
        "long_poll": "PT1S",
        **settings,
    }
    read = ServiceSettings.model_validate(given)
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in plane.environment().items():
                patch.setenv(name, value)
            opened = open_queue(plane.transform_queue_url, plane.transform_dlq_url)
            queue = await stack.enter_async_context(opened)
        consumer = Consumer(queue, stage, RunsTrigger, read, Background())
        consumer.start()
        stack.push_async_callback(consumer.stop, read.shutdown_grace)
        yield queue, consumer


async def nothing() -> None:
    """What is done at once."""


async def test_a_message_is_nobody_elses_while_its_work_goes_on(faulty_lake: Lake, data_plane: LocalDataPlane) -> None:
    """The work takes thrice as long as a message is hidden for, and another replica polls all along."""
    one = Diary(faulty_lake, lambda: asyncio.sleep(3))
    async with consuming(data_plane, one, visibility="PT1S") as (queue, _):
        await queue.send("{}")
        await until(lambda: one.begun)
        other = Diary(faulty_lake, nothing)
        async with consuming(data_plane, other, visibility="PT1S"):
            await until(lambda: one.ended)
    assert (one.begun, one.ended, other.begun) == (1, 1, 0)


async def test_what_fails_again_and_again_is_a_dead_letter_with_its_reason(
    faulty_lake: Lake, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    async def fail() -> None:
        raise DatabaseUnavailable("The database is gone \x01.")

    stage = Diary(faulty_lake, fail)
    async with consuming(data_plane, stage, max_receives=2) as (queue, _):
        await queue.send("{}")
        answer = await asyncio.to_thread(
            emulator.sqs.receive_message,
            QueueUrl=data_plane.transform_dlq_url,
            WaitTimeSeconds=20,
            MessageAttributeNames=["All"],
        )
    (letter,) = answer["Messages"]
    reason = letter["MessageAttributes"]["reason"]["StringValue"]
    assert reason == "DatabaseUnavailable: The database is gone ?. (tried 2 times)"
    assert stage.begun == 2


async def test_a_stage_works_on_its_default_trigger_at_the_start_and_when_no_message_comes(
    faulty_lake: Lake, data_plane: LocalDataPlane
) -> None:
    stage = Diary(faulty_lake, nothing, default_trigger=RunsTrigger())
    async with consuming(data_plane, stage, resync="PT0.1S"):
        await until(lambda: stage.ended >= 3)


async def test_a_failed_reconciliation_is_retried_and_leaves_no_dead_letter(
    faulty_lake: Lake, data_plane: LocalDataPlane, emulator: Emulator
) -> None:
    async def fail_once() -> None:
        if stage.begun == 1:
            raise ZeroDivisionError

    stage = Diary(faulty_lake, fail_once, default_trigger=RunsTrigger())
    async with consuming(data_plane, stage):
        await until(lambda: stage.ended)
    assert "Messages" not in emulator.sqs.receive_message(QueueUrl=data_plane.transform_dlq_url)


async def test_polls_that_nobody_answers_are_no_sign_of_life(
    aws: FaultyAws, faulty_lake: Lake, data_plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue says that it is there, and no poll comes back: a new process may mend it."""
    monkeypatch.setattr("totesys.service.consumer.POLL_MARGIN", timedelta(seconds=1))
    stage = Diary(faulty_lake, nothing)
    plane = aws.in_front_of(data_plane)
    async with consuming(plane, stage, shutdown_grace="PT0S") as (_, consumer):
        await until(lambda: aws.seen["SQS ReceiveMessage"])
        assert consumer.fault is None
        aws.inject(Fault("SQS ReceiveMessage", silent))
        await until(lambda: consumer.fault)
        assert "no poll has been answered" in str(consumer.fault)
        aws.inject()
        await until(lambda: consumer.fault is None)


@pytest.mark.parametrize("operation", ["SQS DeleteMessage", "SQS ReceiveMessage", "SQS GetQueueAttributes"])
async def test_whatever_the_queue_answers_the_consumer_goes_on(
    aws: FaultyAws, faulty_lake: Lake, data_plane: LocalDataPlane, operation: str
) -> None:
    stage = Diary(faulty_lake, nothing)
    plane = aws.in_front_of(data_plane)
    aws.inject(Fault(operation, refused("SomethingNew", 400), times=2))
    async with consuming(plane, stage, visibility="PT1S") as (queue, consumer):
        await queue.send("{}")
        await until(lambda: aws.broken[operation] == 2)
        await until(lambda: stage.ended)
        assert consumer.fault is None

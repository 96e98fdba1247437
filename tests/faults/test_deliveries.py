"""Events that come three times, shuffled and late, or not at all: a message is only a wake-up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import NotificationConfigurationTypeDef, QueueConfigurationTypeDef

COPIES = 3
LATEST = 3.0
RUNS = 5


async def test_events_that_come_three_times_shuffled_and_late_to_two_replicas_change_nothing(
    worlds: Worlds, outcome_of: OutcomeOf, rounds: int, random: Random
) -> None:
    outcome = outcome_of("every event three times, shuffled, late; two replicas")
    async with worlds("doubled", replicas=2) as world, _carrier(world, random) as carried:
        for _ in range(rounds):
            async with world.trial(outcome):
                await world.until_loaded(RUNS)
                outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1
        assert carried


async def test_lost_events_are_made_up_for_while_they_are_being_lost(
    worlds: Worlds, outcome_of: OutcomeOf, rounds: int
) -> None:
    outcome = outcome_of("every event lost")
    async with worlds("lost") as world:
        for bucket in (world.plane.ingest_bucket, world.plane.processed_bucket):
            _announce(world, bucket, {})
        for _ in range(rounds):
            async with world.trial(outcome):
                await world.until_loaded(RUNS)
                outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1


@asynccontextmanager
async def _carrier(world: World, random: Random) -> AsyncIterator[list[str]]:
    """Takes the events of both buckets, and delivers each of them, and ticks too, as late as chance has it."""
    sqs = world.emulator.sqs
    detour = sqs.create_queue(QueueName=f"{world.plane.ingest_bucket}-detour")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=detour, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    targets = {
        world.plane.ingest_bucket: world.plane.transform_queue_url,
        world.plane.processed_bucket: world.plane.load_queue_url,
    }
    for bucket in targets:
        queue: QueueConfigurationTypeDef = {
            "QueueArn": arn,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": "manifest.json"}]}},
        }
        _announce(world, bucket, {"QueueConfigurations": [queue]})
    carried: list[str] = []

    async def deliver(target: str, body: str) -> None:
        await asyncio.sleep(random.uniform(0, LATEST))
        await world.send(target, body)
        carried.append(body)

    async def carry() -> None:
        async with asyncio.TaskGroup() as deliveries:
            while True:
                answer = await asyncio.to_thread(sqs.receive_message, QueueUrl=detour, WaitTimeSeconds=1)
                for message in answer.get("Messages", []):
                    sqs.delete_message(QueueUrl=detour, ReceiptHandle=message["ReceiptHandle"])
                    for bucket, target in targets.items():
                        for _ in range(COPIES * (bucket in message["Body"])):
                            deliveries.create_task(deliver(target, message["Body"]))
                deliveries.create_task(deliver(world.plane.ingest_queue_url, "{}"))

    carrier = asyncio.create_task(carry())
    try:
        yield carried
    finally:
        carrier.cancel()
        with suppress(asyncio.CancelledError):
            await carrier


def _announce(world: World, bucket: str, configuration: "NotificationConfigurationTypeDef") -> None:
    world.emulator.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)

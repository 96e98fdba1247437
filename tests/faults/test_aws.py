"""S3 and SQS on their bad days: errors, breaks, damage and delay, in front of every service at once."""

from collections.abc import AsyncIterator

import pytest

from tests.examples import alone
from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.world import World
from tests.faults.writers import hash_of
from tests.faulty_aws import Fault, FaultyAws, corrupt, cut, faulty_aws, late, lost, refused, reset, short
from tests.until import until
from totesys_cli.local.emulator import Emulator

# A fault lasts until it has met so many requests.
BROKEN = 8
# How much of everything is broken: most work meets some of it, and four tries of a request seldom all do.
CHANCE = 0.1
FAULTS = {
    "500 from S3 and SQS": [Fault("*", refused("InternalError", 500), CHANCE)],
    "503 SlowDown from S3": [Fault("S3 *", refused("SlowDown", 503), CHANCE)],
    "connections reset": [Fault("*", reset, CHANCE)],
    "answers lost after the work was done": [Fault("*", lost, CHANCE)],
    "bodies cut": [Fault("*", cut, CHANCE)],
    "bodies too short": [Fault("S3 GetObject", short, CHANCE)],
    "bodies corrupt": [Fault("S3 GetObject", corrupt, CHANCE)],
    "700 ms late": [Fault("*", late(0.7))],
    "S3 and SQS gone": [Fault("*", reset)],
}


@pytest.fixture(scope="module")
async def aws(emulator: Emulator, seed: str) -> AsyncIterator[FaultyAws]:
    async with faulty_aws(emulator.endpoint_url, seed=hash_of(seed)) as aws:
        yield aws


@pytest.fixture(scope="module")
async def world(worlds: Worlds, aws: FaultyAws) -> AsyncIterator[World]:
    async with worlds("aws", endpoint_url=aws.endpoint_url) as world:
        yield world


@pytest.mark.parametrize(
    "faults",
    [list(FAULTS), *alone(*([fault] for fault in FAULTS))],
    ids=lambda faults: faults[0] if len(faults) == 1 else "all",
)
async def test_aws_on_a_bad_day_delays_and_does_no_more(
    world: World, aws: FaultyAws, outcome_of: OutcomeOf, rounds: int, faults: list[str]
) -> None:
    """One trial passes all faults and compares everything at its end; `make faults` compares after each of them."""
    outcomes = {fault: outcome_of(fault) for fault in faults}
    async with world.trial(outcomes[faults[-1]]):
        for fault, outcome in outcomes.items():
            for _ in range(rounds):
                aws.broken.clear()
                aws.inject(*FAULTS[fault])
                await until(lambda: aws.broken.total() >= BROKEN)
                aws.inject()
                outcome.recoveries.append(await world.recovery())
                outcome.rounds += 1

"""A service that is killed at any moment, and started again, loses nothing and does nothing twice."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.wires import Moment, When
from tests.faults.world import World

# Every write of each service; `test_every_write_is_a_crash_point` finds out if one is missing.
CRASH_POINTS = {
    "ingest": ["COPY", "put run number", "put part", "put manifest", "put empty record", "delete message"],
    "transform": ["put part", "put quarantine part", "put manifest", "delete message"],
    "load": ["COPY", "COPY data", "commit", "put load record", "delete message"],
}
EVERYWHERE = ["send message"]
MOMENTS = [
    (stage, Moment(when, what))
    for stage, writes in CRASH_POINTS.items()
    for what in (*writes, *EVERYWHERE)
    for when in When
]


@pytest.fixture(scope="module")
async def world(worlds: Worlds) -> AsyncIterator[World]:
    async with worlds("kills") as world:
        yield world


@pytest.mark.parametrize(("stage", "moment"), MOMENTS, ids=lambda value: str(value))
async def test_a_service_killed_at_any_write_loses_nothing_and_doubles_nothing(
    world: World, outcome_of: OutcomeOf, rounds: int, stage: str, moment: Moment
) -> None:
    outcome = outcome_of(f"{stage} killed {moment}")
    replica = world.replica(stage)
    async with world.trial(outcome, at_rest=moment.what == "put empty record"):
        for _ in range(rounds):
            if moment.what in EVERYWHERE:
                await world.send_rubbish(stage)
            await replica.killed_at(moment)
            killed = time.monotonic()
            await replica.start()
            outcome.recoveries.append(await world.recovery(killed))
            outcome.rounds += 1


def test_every_write_is_a_crash_point(world: World) -> None:
    for stage, writes in CRASH_POINTS.items():
        seen = {moment.what for moment in world.replica(stage).passed}
        assert seen - {"hide message"} == {*writes, *EVERYWHERE}, stage

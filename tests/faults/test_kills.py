"""A service that is killed at any moment, and started again, loses nothing and does nothing twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TypeAlias

import pytest

from tests.examples import alone
from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.report import Outcome
from tests.faults.wires import Moment, When
from tests.faults.world import World

# Every write of each service; `test_every_write_is_a_crash_point` finds out if one is missing.
CRASH_POINTS = {
    "ingest": ["COPY", "put run number", "put part", "put manifest", "advance slot", "delete message"],
    "transform": ["put part", "put quarantine part", "put manifest", "delete message"],
    "load": ["COPY", "COPY data", "commit", "put load record", "delete message"],
}
EVERYWHERE = ["send message"]
# Only an extraction that finds nothing writes it.
AT_REST = {"ingest": ["put empty record"], "transform": [], "load": []}

# Of each stage, the moments at which it is killed, and what comes of it.
Kills: TypeAlias = Mapping[str, dict[Moment, Outcome]]


@pytest.fixture(scope="module")
async def world(worlds: Worlds) -> AsyncIterator[World]:
    async with worlds("kills", capture="log", capture_slot="kills") as world:
        yield world


@pytest.mark.parametrize(
    "stages",
    [list(CRASH_POINTS), *alone(*([stage] for stage in CRASH_POINTS))],
    ids=lambda stages: stages[0] if len(stages) == 1 else "all",
)
async def test_a_service_killed_at_any_write_loses_nothing_and_doubles_nothing(
    world: World, outcome_of: OutcomeOf, rounds: int, stages: list[str]
) -> None:
    """One trial passes all crash points and compares everything at its end. If that differs, each runs alone."""
    beside = "" if len(stages) == 1 else ", others too"

    def kills(writes: Mapping[str, list[str]]) -> Kills:
        return {
            stage: {moment: outcome_of(f"{stage} killed {moment}{beside}") for moment in _moments(writes[stage])}
            for stage in stages
        }

    busy = kills({stage: [*writes, *EVERYWHERE] for stage, writes in CRASH_POINTS.items()})
    at_rest = kills(AT_REST)
    try:
        await _trial(world, busy, rounds)
        await _trial(world, at_rest, rounds, at_rest=True)
    except AssertionError:
        for stage in stages:
            for moment in busy[stage] | at_rest[stage]:
                single = {stage: {moment: outcome_of(f"{stage} killed {moment}, alone")}}
                await _trial(world, single, 1, at_rest=moment in at_rest[stage])
        raise


def _moments(writes: list[str]) -> list[Moment]:
    return [Moment(when, what) for what in writes for when in When]


async def _trial(world: World, kills: Kills, rounds: int, *, at_rest: bool = False) -> None:
    """Each stage passes its moments, beside the others. What is counted of the whole trial stands with its last one."""
    outcomes = [outcome for moments in kills.values() for outcome in moments.values()]
    if not outcomes:
        return
    async with world.trial(outcomes[-1], at_rest=at_rest), asyncio.TaskGroup() as together:
        for stage, moments in kills.items():
            together.create_task(_pass(world, stage, moments, rounds))


async def _pass(world: World, stage: str, moments: Mapping[Moment, Outcome], rounds: int) -> None:
    for moment, outcome in moments.items():
        for _ in range(rounds):
            await _kill(world, stage, moment, outcome)


async def _kill(world: World, stage: str, moment: Moment, outcome: Outcome) -> None:
    replica = world.replica(stage)
    await replica.killed_at(moment, partial(world.send_rubbish, stage) if moment.what in EVERYWHERE else None)
    killed = time.monotonic()
    await replica.start()
    outcome.recoveries.append(await world.recovery(killed))
    outcome.rounds += 1


def test_every_write_is_a_crash_point(world: World) -> None:
    for stage, writes in CRASH_POINTS.items():
        seen = {moment.what for moment in world.replica(stage).passed}
        assert seen - {"hide message"} == {*writes, *EVERYWHERE, *AT_REST[stage]}, stage

"""A replay that is killed in the middle goes on where it was, and what is new comes meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import uuid4

import pytest

from tests.examples import alone
from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.replica import LONGEST_WAIT, POLL
from tests.faults.wires import Moment, When
from tests.faults.world import World
from totesys.lake import keys
from totesys.lake.records import LoadRecord, ReplayRecord
from totesys.triggers import RunsTrigger

# A replay of so many takes longer than it goes on without a note of how far it is.
RUNS = 24
# As many are asked for at once, beside those of the schedule.
BESIDE_TICKS = 4
MOMENTS = [Moment(When.AFTER, "put load record"), *alone(Moment(When.BEFORE, "commit"))]


@pytest.fixture(scope="module")
async def world(worlds: Worlds) -> AsyncIterator[World]:
    async with worlds("replays") as world:
        yield world


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
async def test_a_replay_that_is_killed_in_the_middle_goes_on_where_it_was(
    world: World, outcome_of: OutcomeOf, rounds: int, moment: Moment
) -> None:
    outcome = outcome_of(f"load killed {moment} in a replay")
    async with world.trial(outcome):
        for _ in range(rounds):
            await _until_there_are_runs(world)
            outcome.recoveries.append(await _kill(world, moment))
            outcome.rounds += 1


async def _until_there_are_runs(world: World) -> None:
    while len(await world.loaded()) < RUNS:
        for _ in range(BESIDE_TICKS):
            await world.send(world.plane.ingest_queue_url, '{"trigger": "another"}')
        await world.until_loaded(BESIDE_TICKS)


async def _kill(world: World, moment: Moment) -> float:
    """Kill load in the middle of a replay of all runs, and start it again: what was done is not done once more.

    How long a change then takes to be in the warehouse, in seconds.
    """
    runs = sorted(await world.loaded())
    name = str(uuid4())
    wakeup = RunsTrigger(from_run=runs[0], to_run=runs[-1], replay=name)
    replica = world.replica("load")
    await world.send(world.plane.load_queue_url, wakeup.model_dump_json(exclude_none=True))
    begun = await _progress(world, name, runs=1)
    await replica.killed_at(moment)
    done = [run for run in runs if run <= begun.done]
    before = [await _finished_at(world, run) for run in done]
    killed = time.monotonic()
    await replica.start()
    seconds = await world.recovery(killed)
    await _progress(world, name, runs=len(runs))
    assert [await _finished_at(world, run) for run in done] == before
    return seconds


async def _progress(world: World, name: str, runs: int) -> ReplayRecord:
    """Wait until load has noted that it did so many runs again."""
    async with asyncio.timeout(LONGEST_WAIT):
        while True:
            body = await _object(world, keys.replay_key("load", name))
            record = ReplayRecord.model_validate_json(body) if body else None
            if record and record.runs >= runs:
                return record
            await asyncio.sleep(POLL)


async def _finished_at(world: World, run: int) -> datetime:
    body = await _object(world, keys.record_key(run, keys.LOAD))
    return LoadRecord.model_validate_json(body).finished_at


async def _object(world: World, key: str) -> bytes:
    """The object's bytes; empty if there is none."""

    def read() -> bytes:
        s3 = world.emulator.s3
        try:
            return s3.get_object(Bucket=world.plane.processed_bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return b""

    return await asyncio.to_thread(read)

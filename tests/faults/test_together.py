"""Whoever asks for the same thing at the same time, and however many: it is done once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.faults.conftest import OutcomeOf, Worlds
from totesys.lake.store import open_lake
from totesys_cli.local.local_data_plane import LocalDataPlane

ASKERS = 20
# A client costs a second; each of them asks several times at once.
LAKES = 4
TURNS = 5


async def test_concurrent_ticks_triggers_and_replays_double_nothing(
    worlds: Worlds, outcome_of: OutcomeOf, rounds: int
) -> None:
    outcome = outcome_of("20 ticks, full extractions and replays at once; two replicas")
    async with worlds("together", replicas=2) as world:
        asks = [
            *[(world.plane.ingest_queue_url, "{}")] * ASKERS,
            *[(world.plane.ingest_queue_url, '{"mode": "full"}')] * 2,
            *[(world.plane.transform_queue_url, '{"from_run": 1, "to_run": 3}')] * 2,
            *[(world.plane.load_queue_url, '{"from_run": 1, "to_run": 3}')] * 2,
            *[(queue, "{}") for queue in (world.plane.transform_queue_url, world.plane.load_queue_url)] * ASKERS,
        ]
        for _ in range(rounds):
            async with world.trial(outcome):
                await asyncio.gather(*(world.send(*ask) for ask in asks))
                outcome.recoveries.append(await world.recovery())
            outcome.rounds += 1


async def test_no_run_number_is_given_out_twice(
    data_plane: LocalDataPlane, outcome_of: OutcomeOf, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = outcome_of("20 writers race for run numbers")
    for name, value in data_plane.environment().items():
        monkeypatch.setenv(name, value)
    async with AsyncExitStack() as stack:
        buckets = (data_plane.ingest_bucket, data_plane.processed_bucket)
        lakes = [await stack.enter_async_context(open_lake(*buckets)) for _ in range(LAKES)]
        for _ in range(TURNS * rounds):
            claimed = await asyncio.gather(*(lake.claim_run_number() for lake in lakes * (ASKERS // LAKES)))
            outcome.rounds += 1
            outcome.double += ASKERS - len({counter.last for counter in claimed})
        assert outcome.double == 0
        assert max(counter.last for counter in claimed) == ASKERS * outcome.rounds

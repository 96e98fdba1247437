"""What can never succeed becomes a dead letter with its reason, and comes back once its cause is mended."""

import asyncio
import time
from pathlib import Path

from tests.command import Command, eventually
from tests.faults.conftest import OutcomeOf, Worlds
from tests.faults.world import World
from totesys.lake.keys import MANIFEST, RUNS, parse_record_key
from totesys.lake.records import ProcessedManifest
from totesys.log_events import LogEvent

NAME = "poison"


async def test_a_run_that_cannot_be_loaded_is_a_dead_letter_and_comes_back_when_it_is_mended(
    worlds: Worlds, outcome_of: OutcomeOf, tmp_path: Path
) -> None:
    """The time between load's start and the dead letter is what the table shows as recovery."""
    outcome = outcome_of("a part damaged in the lake, mended, redriven")
    with Command.that_leaves_nothing(tmp_path) as totesys:

        async def dlq(*arguments: str) -> str:
            place = ("--name", f"test-{NAME}", "--endpoint", world.emulator.endpoint_url)
            ended = await asyncio.to_thread(totesys, "dlq", *arguments, *place)
            assert ended.code == 0, ended.err
            return ended.words

        async with worlds(NAME) as world, world.trial(outcome):
            load = world.replica("load")
            await load.stop()
            damaged = await _next_run(world)
            part = _damage(world, damaged)
            started = time.monotonic()
            await load.start()
            failed = await load.event(LogEvent.MESSAGE_FAILED, next="dead-letter queue")
            outcome.recoveries.append(time.monotonic() - started)
            assert failed["kind"] == "CorruptObject"
            before = await world.loaded()
            assert damaged not in before
            shown = await dlq("list", "load", "--json")
            assert f"CorruptObject: s3://{world.plane.processed_bucket}/{part} is not what its manifest says" in shown
            # The others go on, and the warehouse stays whole where it was.
            await _next_run(world)
            assert await world.loaded() == before
            await world.send(world.plane.transform_queue_url, f'{{"run": {damaged}}}')
            await load.event(LogEvent.RUN_COMPLETED, run=damaged)
            assert "redriven" in await dlq("redrive", "load")
            outcome.rounds += 1
        assert "no dead letters" in await dlq("list")


async def _next_run(world: World) -> int:
    """Wait until transform has committed another run; its number."""
    before = _processed(world)
    await asyncio.to_thread(eventually, lambda: _processed(world) - before)
    return min(_processed(world) - before)


def _processed(world: World) -> set[int]:
    pages = world.emulator.s3.get_paginator("list_objects_v2").paginate(
        Bucket=world.plane.processed_bucket, Prefix=RUNS
    )
    keys = [parse_record_key(entry["Key"]) for page in pages for entry in page.get("Contents", [])]
    return {found[0] for found in keys if found and found[1] == MANIFEST}


def _damage(world: World, run: int) -> str:
    """Write over a part of a run; its key."""
    bucket = world.plane.processed_bucket
    body = world.emulator.s3.get_object(Bucket=bucket, Key=f"{RUNS}run={run:08d}/{MANIFEST}")["Body"].read()
    part = next(iter(ProcessedManifest.model_validate_json(body).tables.values())).parts[0]
    world.emulator.s3.put_object(Bucket=bucket, Key=part.key, Body=b"\0" * part.bytes)
    return part.key

"""The lake on a bad day: what S3 did is known though its answer was lost, and what comes damaged is asked for again."""

import asyncio

import pytest
from aiobotocore.config import AioConfig

from tests.faulty_aws import Effect, Fault, FaultyAws, corrupt, cut, lost, refused, reset, short, silent, stalled
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.records import empty_manifest
from totesys.aws_client import CLIENT_CONFIG
from totesys.errors import CorruptObject, LakeUnavailable
from totesys.lake.keys import RUN_NUMBER
from totesys.lake.store import Lake
from totesys_cli.local.local_data_plane import LocalDataPlane

GET, PUT, LIST = "S3 GetObject", "S3 PutObject", "S3 ListObjectsV2"
BODY = bytes(range(256)) * 1000
# How often a request is made before it is given up.
TRIES = 4


async def test_who_commits_a_run_knows_it_though_the_answer_is_lost(aws: FaultyAws, faulty_lake: Lake) -> None:
    manifest = empty_manifest(1)
    aws.inject(Fault(PUT, lost, times=1))
    await faulty_lake.commit(manifest)
    assert aws.broken == {PUT: 1}
    assert aws.seen[PUT] == 2
    assert await faulty_lake.manifest(1) == manifest
    with pytest.raises(CorruptObject, match="two writers"):
        await faulty_lake.commit(empty_manifest(1))
    assert await faulty_lake.manifest(1) == manifest


async def test_everyone_who_asks_at_once_gets_a_number_of_their_own_though_answers_are_lost(
    aws: FaultyAws, faulty_lake: Lake
) -> None:
    aws.inject(Fault(PUT, lost, chance=0.2))
    claims = await asyncio.gather(*(faulty_lake.claim_run_number() for _ in range(20)))
    assert aws.broken[PUT] > 0
    assert len({claim.last for claim in claims}) == 20
    assert len({claim.lake for claim in claims}) == 1
    counter = await faulty_lake.counter()
    assert counter is not None
    assert counter.last >= max(claim.last for claim in claims)


async def test_of_many_who_write_the_same_bytes_one_wins_though_answers_are_lost(
    aws: FaultyAws, faulty_lake: Lake
) -> None:
    aws.inject(Fault(PUT, lost, chance=0.3))
    for number in range(3):
        won = await asyncio.gather(*(faulty_lake.ingest.put_new(f"key {number}", BODY) for _ in range(10)))
        assert sum(won) == 1
    assert aws.broken[PUT] > 0


async def test_a_conditional_put_that_meets_another_is_tried_again(aws: FaultyAws, faulty_lake: Lake) -> None:
    aws.inject(Fault(PUT, refused("ConditionalRequestConflict", 409), times=1))
    await faulty_lake.commit(empty_manifest(1))
    assert aws.seen[PUT] == 2
    aws.inject()
    await faulty_lake.ingest.put("counter", b"1")
    assert await faulty_lake.ingest.put_instead("gone", b"2", '"0"') is False


@pytest.mark.parametrize("effect", [reset, lost, cut, short, corrupt])
async def test_an_answer_that_breaks_on_its_way_is_asked_for_again(
    aws: FaultyAws, faulty_lake: Lake, effect: Effect
) -> None:
    part = await faulty_lake.ingest.put_part("part", BODY, rows=1)
    claimed = await faulty_lake.claim_run_number()
    aws.seen.clear()
    aws.inject(Fault(GET, effect, times=1))
    assert await faulty_lake.ingest.get_part(part) == BODY
    aws.inject(Fault(GET, effect, times=2))
    assert await faulty_lake.ingest.get("part") == BODY
    aws.inject(Fault(GET, effect, times=2))
    assert await faulty_lake.counter() == claimed
    assert (aws.broken[GET], aws.seen[GET]) == (5, 8)


async def test_no_changed_byte_of_a_record_is_believed(aws: FaultyAws, faulty_lake: Lake) -> None:
    claimed = await faulty_lake.claim_run_number()
    for _ in range(50):
        aws.inject(Fault(GET, corrupt, times=1))
        assert await faulty_lake.counter() == claimed


async def test_a_list_that_breaks_on_its_way_is_asked_for_again(aws: FaultyAws, faulty_lake: Lake) -> None:
    for run in (1, 2, 3):
        await faulty_lake.commit(empty_manifest(run))
    for effect in (reset, lost, cut, short):
        aws.inject(Fault(LIST, effect, times=1))
        assert await faulty_lake.ingested() == {1: True, 2: True, 3: True}
    assert aws.broken == {LIST: 4}


async def test_bytes_that_break_on_their_way_to_the_lake_are_sent_again(aws: FaultyAws, faulty_lake: Lake) -> None:
    aws.inject(Fault(PUT, refused("BadDigest", 400), times=1))
    part = await faulty_lake.ingest.put_part("part", BODY, rows=1)
    assert await faulty_lake.ingest.get_part(part) == BODY


@pytest.mark.parametrize("effect", [reset, cut, short, corrupt, refused("SlowDown", 503)])
async def test_what_never_comes_whole_is_given_up(aws: FaultyAws, faulty_lake: Lake, effect: Effect) -> None:
    await faulty_lake.claim_run_number()
    aws.seen.clear()
    aws.inject(Fault(GET, effect))
    with pytest.raises(LakeUnavailable, match=RUN_NUMBER):
        await faulty_lake.counter()
    # The HTTP library itself asks once more where a connection that it has kept is found closed.
    assert TRIES <= aws.seen[GET] <= (2 * TRIES if effect is reset else TRIES)


async def test_a_part_that_lies_damaged_is_read_again_before_that_is_said(aws: FaultyAws, faulty_lake: Lake) -> None:
    part = await faulty_lake.ingest.put_part("part", BODY, rows=1)
    await faulty_lake.ingest.put("part", BODY[:-1])
    with pytest.raises(CorruptObject, match="is not what its manifest says"):
        await faulty_lake.ingest.get_part(part)
    assert aws.seen[GET] == TRIES


async def test_a_server_that_says_nothing_is_given_up(
    aws: FaultyAws, faulty_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = await faulty_lake.ingest.put_part("part", BODY, rows=1)
    monkeypatch.setattr("totesys.aws_client.ANSWER_SECONDS", 0.2)
    bucket = faulty_lake.ingest
    silences = {
        silent: (lambda: bucket.get_part(part), lambda: bucket.put("key", BODY), lambda: bucket.put_new("key", BODY)),
        stalled: (lambda: bucket.get_part(part), faulty_lake.ingested),
    }
    for effect, asked in silences.items():
        aws.inject(Fault("S3 *", effect))
        for ask in asked:
            with pytest.raises(LakeUnavailable, match=r"cannot be reached: no answer in time\."):
                await ask()


async def test_a_body_that_stalls_is_asked_for_again(
    aws: FaultyAws, data_plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("totesys.lake.store.CLIENT_CONFIG", CLIENT_CONFIG.merge(AioConfig(read_timeout=2)))
    async with Pipeline(MODEL, aws.in_front_of(data_plane), "unused", "unused") as pipeline:
        part = await pipeline.lake.ingest.put_part("part", BODY, rows=1)
        aws.inject(Fault(GET, stalled, times=1))
        assert await pipeline.lake.ingest.get_part(part) == BODY
    assert aws.broken == {GET: 1}

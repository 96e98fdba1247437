"""The lake: every run number is given out once, a record says all or nothing, and a part is what its record says."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from uuid import uuid4
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.records import empty_manifest
from tests.sources import verified
from totesys.errors import CorruptObject
from totesys.lake.keys import EMPTY, RUN_NUMBER, record_key
from totesys.lake.records import RunCounter
from totesys.lake.store import LOOK_BACK, Lake
from totesys.lake.upload import PIECE_BYTES, Upload
from totesys.triggers import RECONCILE, ExtractTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane

CSV = "lending/loan/run=00000001/part-00000.csv"


@pytest.fixture
async def lake(data_plane: LocalDataPlane) -> AsyncIterator[Lake]:
    """A lake that has had no run."""
    async with Pipeline(MODEL, data_plane, "unused", "unused") as pipeline:
        yield pipeline.lake


async def test_everyone_who_asks_at_once_gets_a_run_number_of_their_own(lake: Lake) -> None:
    claims = await asyncio.gather(*(lake.claim_run_number() for _ in range(20)))
    assert {claim.last for claim in claims} == set(range(1, 21))
    assert len({claim.lake for claim in claims}) == 1
    assert await lake.counter() == RunCounter(lake=claims[0].lake, last=20)


async def test_a_run_is_committed_once(lake: Lake) -> None:
    first = empty_manifest(7)
    await lake.commit(first)
    with pytest.raises(CorruptObject, match="exists already, so run 7 has two writers"):
        await lake.commit(empty_manifest(7))
    assert await lake.manifest(7) == first


async def test_the_newest_run_is_found_however_many_numbers_were_given_up_after_it(lake: Lake) -> None:
    for run in (1, 5, 5 + LOOK_BACK, 6 + 2 * LOOK_BACK, 7 + 5 * LOOK_BACK):
        await lake.commit(empty_manifest(run))
        for given_up in (0, 1, LOOK_BACK - 1, LOOK_BACK, LOOK_BACK + 1, 5 * LOOK_BACK):
            counter = RunCounter(lake=uuid4(), last=run + given_up)
            await lake.ingest.put(RUN_NUMBER, counter.model_dump_json().encode())
            newest = await lake.newest_manifest()
            assert newest is not None
            assert newest.run == run


async def test_a_lake_without_runs_has_no_newest_run(lake: Lake) -> None:
    assert await lake.newest_manifest() is None
    await lake.claim_run_number()
    assert await lake.newest_manifest() is None


async def test_a_lake_that_has_lost_its_run_number_is_not_counted_anew(lake: Lake) -> None:
    await lake.commit(empty_manifest(3))
    with pytest.raises(CorruptObject, match="is missing, but the lake has runs up to 3"):
        await lake.claim_run_number()
    assert await lake.counter() is None


WHOLE = empty_manifest(1).model_dump_json().encode()
FAULTS = {
    b"": "the object: Invalid JSON",
    WHOLE[:-1]: "the object: Invalid JSON",
    b"[]": "the object: Input should be an object",
    WHOLE.replace(b'"version":1', b'"version":0'): "version: Input should",
    WHOLE.replace(b'"run":', b'"ran":'): "run: Field required",
}


async def test_a_record_that_cannot_be_read_is_named_with_its_fault(lake: Lake) -> None:
    for body, fault in FAULTS.items():
        await lake.ingest.put(record_key(1, EMPTY), body)
        with pytest.raises(CorruptObject) as raised:
            await lake.manifest(1)
        where = lake.ingest.where("runs/run=00000001/empty.json")
        assert str(raised.value).startswith(f"{where} is not a valid Manifest: {fault}")
        assert str(raised.value).endswith("Restore the object, or run the release that wrote it.")


async def test_a_run_counter_that_cannot_be_read_gives_out_no_number(lake: Lake) -> None:
    await lake.ingest.put(RUN_NUMBER, b'{"last": 7}')
    with pytest.raises(CorruptObject, match=f"{RUN_NUMBER} is not a valid RunCounter: lake: Field required"):
        await lake.claim_run_number()
    assert await lake.ingest.get(RUN_NUMBER) == b'{"last": 7}'


async def test_a_part_that_is_missing_or_not_what_its_manifest_says_is_not_transformed(library: Pipeline) -> None:
    await library.ingest.work(ExtractTrigger())
    ingest = library.lake.ingest
    body = await ingest.get(CSV)
    assert body is not None
    await ingest.client.delete_object(Bucket=ingest.name, Key=CSV)
    with pytest.raises(CorruptObject, match=f"{CSV} is missing. Restore it"):
        await library.catch_up()
    for broken in (body[:-1], body + b"\n", body.replace(b"Ada", b"Eve")):
        await ingest.put(CSV, broken)
        with pytest.raises(CorruptObject, match=f"{CSV} is not what its manifest says"):
            await library.catch_up()
    assert await library.lake.processed_runs() == []
    await ingest.put(CSV, body)
    await library.catch_up()
    assert await verified(library.source_dsn, library.warehouse_dsn, MODEL)


async def uploaded(lake: Lake, key: str, chunks: list[bytes]) -> None:
    """Upload the chunks, and see that the object is the chunks, and the part says so."""
    upload = Upload(lake.ingest, key)
    for chunk in chunks:
        await upload.write(chunk)
    part = await upload.finish(rows=3)
    whole = b"".join(chunks)
    assert (part.key, part.rows, part.bytes, part.crc32) == (key, 3, len(whole), f"{crc32(whole):08x}")
    assert await lake.ingest.get_part(part) == whole


async def test_an_object_of_any_size_arrives_as_it_was_written(lake: Lake) -> None:
    for size in (0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES):
        data = Random(size).randbytes(size)
        await uploaded(lake, "whole", [data])
        await uploaded(lake, "in two", [data[: size // 2], data[size // 2 :]])


@given(sizes=st.lists(st.integers(0, PIECE_BYTES), max_size=4), seed=st.integers())
@examples(8)
async def test_an_object_arrives_however_it_is_cut(lake: Lake, sizes: list[int], seed: int) -> None:
    random = Random(seed)
    await uploaded(lake, "cut", [random.randbytes(size) for size in sizes])


async def test_an_upload_that_is_given_up_leaves_nothing(lake: Lake) -> None:
    for size in (0, 1, 3 * PIECE_BYTES):
        upload = Upload(lake.ingest, "given up")
        await upload.write(bytes(size))
        await upload.write(bytes(size))
        await upload.abort()
    assert await lake.ingest.get("given up") is None
    left = await lake.ingest.client.list_multipart_uploads(Bucket=lake.ingest.name)
    assert left.get("Uploads", []) == []


async def test_what_is_undone_is_known_without_any_message(library: Pipeline) -> None:
    await library.ingest.work(ExtractTrigger())
    await library.ingest.work(ExtractTrigger())
    assert await library.lake.ingested() == {1: False, 2: True}
    await library.transform.work(RECONCILE)
    assert await library.lake.processed_runs() == [1]

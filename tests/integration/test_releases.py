"""What a release has left behind is used by the next one, and what the next one adds is no matter to the one before."""

import json
import re
from collections.abc import AsyncIterator, Callable
from fnmatch import fnmatch
from pathlib import Path

import jsonschema_rs
import pytest
from pydantic import SecretStr

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.record_release import HISTORY
from tests.sources import execute, make_library, rows, verified
from totesys.connection import connect
from totesys.errors import CorruptObject, NewerRecord, WarehouseMismatch
from totesys.lake.store import Lake
from totesys.triggers import RECONCILE, RunsTrigger
from totesys_cli.downgrade_command import run_downgrade
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.options import DataPlaneLocation, WarehouseLocation
from totesys_cli.terminal import Output
from totesys_cli.warehouse_comparison import run_comparison
from totesys_load.ledger_migrations import MIGRATIONS
from totesys_load.load_stage import Load
from totesys_load.scheduled_verification import verify_and_record

RELEASES = sorted(folder for folder in (Path(__file__).parents[1] / "releases").iterdir() if folder.is_dir())
MANIFEST = "runs/run=00000002/manifest.json"
# The records that release 0.1.0 reads, as JSON schemas: each of its models refuses unknown fields.
FIRST_RECORDS = Path(__file__).parents[1] / "releases" / "0.1.0" / "records.schema.json"
INGEST_RECORDS = {"run_number.json": "RunCounter", "runs/*/manifest.json": "Manifest", "runs/*/empty.json": "Manifest"}
PROCESSED_RECORDS = {
    "runs/*/manifest.json": "ProcessedManifest",
    "runs/*/load.json": "LoadRecord",
    "runs/*/*.failed.json": "Failure",
    "verifications/*.json": "VerificationRecord",
    "replays/*/*.json": "ReplayRecord",
}
CONTENTS = (
    "SELECT t::text FROM warehouse.fact_loan AS t ORDER BY 1",
    "SELECT t::text FROM warehouse.dim_book AS t ORDER BY 1",
    "SELECT t::text FROM warehouse.fact_loan_current AS t ORDER BY 1",
    "SELECT table_name, id, run, returned_run FROM etl.deletion ORDER BY 1, 2",
    "SELECT table_name, record_id, id, run FROM etl.orphan ORDER BY 1, 2",
    "SELECT table_name, run, rows_written, first_record_id, last_record_id FROM etl.run_table ORDER BY 1, 2",
)


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
async def left(
    request: pytest.FixtureRequest, database: Callable[[], str], data_plane: LocalDataPlane
) -> AsyncIterator[Pipeline]:
    """This release over the lake and the warehouse of an earlier one, with a source as it was then."""
    source, warehouse = await make_library(database()), database()
    for statements in HISTORY:
        await execute(source, *statements)
    script = (request.param / "warehouse.sql").read_text()
    async with connect("The warehouse", warehouse) as connection:
        # What psql alone understands begins with a backslash.
        await connection.execute(re.sub(r"^\\.*$", "", script, flags=re.MULTILINE))
    async with Pipeline(MODEL, data_plane, source, warehouse) as pipeline:
        for name, bucket in (("ingest", pipeline.lake.ingest), ("processed", pipeline.lake.processed)):
            folder = request.param / "lake" / name
            for path in sorted(folder.rglob("*.*")):
                await bucket.put(path.relative_to(folder).as_posix(), path.read_bytes())
        yield pipeline


async def unreadable_by_the_first_release(lake: Lake) -> set[str]:
    """The kinds of records that release 0.1.0 refuses, of a lake that has all kinds."""
    schemas = json.loads(FIRST_RECORDS.read_text())
    validators = {kind: jsonschema_rs.Draft202012Validator(schema) for kind, schema in schemas.items()}
    found, refused = set[str](), set[str]()
    for bucket, kinds in ((lake.ingest, INGEST_RECORDS), (lake.processed, PROCESSED_RECORDS)):
        async for key in bucket.keys(""):
            for kind in (kind for pattern, kind in kinds.items() if fnmatch(key, pattern)):
                found.add(kind)
                if not validators[kind].is_valid(json.loads(await bucket.get(key) or b"")):
                    refused.add(kind)
    assert found == schemas.keys()
    return refused


async def contents(dsn: str) -> list[list[tuple[object, ...]]]:
    return [await rows(dsn, query) for query in CONTENTS]


async def test_the_next_release_goes_on_with_lake_and_warehouse(left: Pipeline) -> None:
    before = await contents(left.warehouse_dsn)
    await left.load.work(RECONCILE)
    assert await contents(left.warehouse_dsn) == before
    await left.tick()
    # The source is another server: everything is extracted, and none of it is new.
    assert (await contents(left.warehouse_dsn))[:5] == before[:5]
    await execute(left.source_dsn, "UPDATE loan SET fee = 3 WHERE loan_id = 1")
    await left.tick()
    assert await verified(left.source_dsn, left.warehouse_dsn, MODEL)
    assert await rows(left.warehouse_dsn, "SELECT count(*) FROM etl.migration") == [(len(MIGRATIONS),)]


@pytest.mark.parametrize("again", [RunsTrigger(run=2), RunsTrigger(run=3), RunsTrigger(from_run=1, to_run=6)])
async def test_runs_of_an_earlier_release_are_replayed_into_their_places(left: Pipeline, again: RunsTrigger) -> None:
    before = await contents(left.warehouse_dsn)
    await left.catch_up(again)
    assert await contents(left.warehouse_dsn) == before


async def test_a_warehouse_is_rebuilt_from_the_lake_of_an_earlier_release(
    left: Pipeline, database: Callable[[], str]
) -> None:
    rebuilt = database()
    settings = left.load.settings.model_copy(update={"warehouse_dsn": SecretStr(rebuilt)})
    await Load(settings, left.lake, MODEL).work(RECONCILE)
    assert await contents(rebuilt) == await contents(left.warehouse_dsn)


async def test_a_warehouse_of_an_earlier_release_is_compared_with_one_of_this_release(
    left: Pipeline, database: Callable[[], str]
) -> None:
    rebuilt = database()
    settings = left.load.settings.model_copy(update={"warehouse_dsn": SecretStr(rebuilt)})
    await Load(settings, left.lake, MODEL).work(RECONCILE)
    warehouse = WarehouseLocation(left.warehouse_dsn, model="tests.models.library")
    assert await run_comparison(Output(), warehouse, rebuilt)
    await execute(left.warehouse_dsn, "UPDATE warehouse.dim_book SET title = 'X' WHERE book_id = 1")
    assert not await run_comparison(Output(), warehouse, rebuilt)
    await execute(left.warehouse_dsn, "ALTER TABLE etl.run DROP COLUMN complete CASCADE")
    with pytest.raises(WarehouseMismatch, match=r"column .*complete does not exist\. .* run load of this release once"):
        await run_comparison(Output(), warehouse, rebuilt)


async def test_what_a_newer_release_adds_is_ignored_and_what_it_changes_is_refused_with_its_name(
    left: Pipeline,
) -> None:
    body = json.loads(await left.lake.ingest.get(MANIFEST) or b"")
    known = await left.lake.manifest(2)
    newer = {"schema_version": "1.99", "release": "7.1.0", "mood": "good", **body}
    newer["tables"] = {name: {**table, "colour": "red"} for name, table in body["tables"].items()}
    await left.lake.ingest.put(MANIFEST, json.dumps(newer).encode())
    assert await left.lake.manifest(2) == known
    for other in ({"schema_version": "2.0"}, {"version": 2}):
        await left.lake.ingest.put(MANIFEST, json.dumps({**newer, **other}).encode())
        with pytest.raises(NewerRecord, match=r"run=00000002/manifest.json was written by release 7\.1\.0, .* Run re"):
            await left.lake.manifest(2)


async def test_after_a_downgrade_the_first_release_reads_every_record(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source = await make_library(database())
    location = DataPlaneLocation(data_plane.ingest_bucket.removesuffix("-ingest"), data_plane.endpoint_url)
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        await pipeline.tick()
        for statements in HISTORY:
            await execute(source, *statements)
            await pipeline.tick()
        await pipeline.tick("sweep")
        await pipeline.catch_up(RunsTrigger(from_run=1, to_run=2, replay="again"))
        settings = pipeline.load.settings.model_copy(update={"source_dsn": SecretStr(source)})
        await verify_and_record(settings, pipeline.lake, MODEL)
        with pytest.raises(CorruptObject):
            async with pipeline.lake.failures_recorded(2, "load"):
                raise CorruptObject("A part is damaged.")
        before = await contents(pipeline.warehouse_dsn)
        assert await unreadable_by_the_first_release(pipeline.lake)
        await run_downgrade(Output(), location)
        assert not await unreadable_by_the_first_release(pipeline.lake)
        await run_downgrade(Output(), location)
        pipeline.restart()
        await pipeline.catch_up(RunsTrigger(from_run=1, to_run=6))
        assert await contents(pipeline.warehouse_dsn) == before
        await execute(source, "UPDATE loan SET fee = 3 WHERE loan_id = 1")
        await pipeline.tick()
        assert await verified(source, pipeline.warehouse_dsn, MODEL)


async def test_a_record_of_another_run_is_not_believed(left: Pipeline) -> None:
    for bucket, read in (
        (left.lake.ingest, left.lake.manifest),
        (left.lake.processed, left.lake.processed_manifest),
    ):
        body = await bucket.get(MANIFEST)
        await bucket.put(MANIFEST.replace("2", "3"), body or b"")
        with pytest.raises(CorruptObject, match=r"is the record of run 2\. Restore the one of run 3\."):
            await read(3)


async def test_a_ledger_of_a_newer_release_is_used_as_it_is(left: Pipeline) -> None:
    await left.load.work(RECONCILE)
    await execute(
        left.warehouse_dsn,
        "ALTER TABLE etl.run ADD COLUMN mood text",
        "ALTER TABLE etl.run_table ADD COLUMN colour text DEFAULT 'red'",
        f"INSERT INTO etl.migration (number) VALUES ({len(MIGRATIONS) + 1})",
    )
    left.restart()
    await left.tick()
    assert await verified(left.source_dsn, left.warehouse_dsn, MODEL)


async def test_the_order_of_the_ledgers_columns_is_no_matter(left: Pipeline) -> None:
    for table in ("run_table", "run", "deletion", "orphan"):
        found = await rows(
            left.warehouse_dsn,
            f"SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = 'etl.{table}'::regclass AND attnum > 0 AND NOT attisdropped "
            f"AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = attrelid AND attnum = ANY (conkey))",
        )
        if not found:
            continue
        moved, kind = found[0]
        await execute(
            left.warehouse_dsn,
            f"ALTER TABLE etl.{table} RENAME {moved} TO moved; ALTER TABLE etl.{table} ADD COLUMN {moved} {kind}; "
            f"UPDATE etl.{table} SET {moved} = moved; ALTER TABLE etl.{table} DROP COLUMN moved CASCADE",
        )
    await left.tick()
    await execute(left.source_dsn, "UPDATE loan SET fee = 4", "DELETE FROM loan WHERE loan_id = 3")
    await left.tick("sweep")
    assert await verified(left.source_dsn, left.warehouse_dsn, MODEL)

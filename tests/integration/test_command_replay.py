"""`totesys replay`: the services do runs again, each exactly in the place of what it wrote."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.command import Command, Ended
from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY, environment, running
from tests.sources import execute, make_library, rows
from totesys.lake.keys import LOAD, part_key, record_key
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

NAME = "test-replay"
PLACES = "SELECT loan_record_id, ctid::text, xmin::text, fact_loan::text FROM warehouse.fact_loan ORDER BY 1"
RANGES = "SELECT run, first_record_id, last_record_id FROM etl.run_table WHERE table_name = 'fact_loan' ORDER BY 1"


@dataclass(frozen=True)
class Replay:
    """A history of four runs and an empty one, and the command for it."""

    pipeline: Pipeline
    totesys: Command
    place: tuple[str, ...]

    def __call__(self, first: int, last: int, *options: str) -> Ended:
        return self.totesys("replay", "--from", str(first), "--to", str(last), *self.place, *options)

    async def versions(self) -> dict[int, tuple[str, ...]]:
        return {row[0]: row[1:] for row in await rows(self.pipeline.warehouse_dsn, PLACES)}


@pytest.fixture(scope="module")
def plane(emulator: Emulator) -> LocalDataPlane:
    return emulator.apply(data_plane_template(), NAME)


@pytest.fixture(scope="module")
async def replay(
    postgres: ReachablePostgres, plane: LocalDataPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Replay]:
    source = await make_library(postgres.create_database("replay_source"))
    warehouse = postgres.create_database("replay_warehouse")
    async with Pipeline(MODEL, plane, source, warehouse) as pipeline:
        for fee in (5, 6, 7):
            await pipeline.tick()
            await execute(source, f"UPDATE loan SET fee = {fee}", f"UPDATE book SET title = 'Dune {fee}'")
        await pipeline.tick()
        await pipeline.tick()
        place = ("--name", NAME, "--endpoint", plane.endpoint_url)
        yield Replay(pipeline, Command(tmp_path_factory.mktemp("replay")), place)
    for name in ("replay_source", "replay_warehouse"):
        postgres.drop_database(name)


@pytest.fixture(scope="module")
async def services(replay: Replay, plane: LocalDataPlane) -> AsyncIterator[None]:
    """Transform and load as processes."""
    dsn = replay.pipeline.warehouse_dsn
    async with (
        running("transform", environment("transform", plane) | LIBRARY),
        running("load", environment("load", plane, warehouse_dsn=dsn) | LIBRARY),
    ):
        yield


def test_runs_that_are_not_there_are_refused(replay: Replay) -> None:
    for first, last, words in ((5, 9, "no run with rows from 5 to 9; the last run number is 5"), (3, 2, "is after")):
        ended = replay(first, last)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert words in ended.err


def test_a_service_that_does_not_answer_is_not_waited_for_any_longer_than_asked(replay: Replay) -> None:
    ended = replay(1, 2, "--timeout", "1s")
    assert ended.code == 1
    assert "transform did not replay all runs within 1s" in ended.err


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("stage", ["transform", "load"])
async def test_a_replay_replaces_exactly_what_its_runs_wrote(replay: Replay, stage: str) -> None:
    before, ranges = await replay.versions(), await rows(replay.pipeline.warehouse_dsn, RANGES)
    inside = {id_ for run, first, last in ranges if run in (2, 3) for id_ in range(first, last + 1)}
    records = {run: await replay.pipeline.lake.load_record(run) for run in (1, 2, 3, 4)}
    await execute(replay.pipeline.warehouse_dsn, "UPDATE warehouse.fact_loan SET fee = 99 WHERE loan_record_id = 3")
    ended = replay(2, 3, "--from-stage", stage, "--json")
    assert ended.code == 0, ended.err
    after = await replay.versions()
    assert {id_ for id_ in after if after[id_] != before[id_]} == inside == {3, 4, 5, 6}
    assert {id_: row[-1] for id_, row in after.items()} == {id_: row[-1] for id_, row in before.items()}
    assert await rows(replay.pipeline.warehouse_dsn, RANGES) == ranges
    said = [(run["run"], run["tables"]["fact_loan"]["written"]) for run in json.loads(ended.out)]
    assert said == [(2, 2), (3, 2)]
    assert f"run 3 {stage}" in ended.err
    for run, record in records.items():
        again = await replay.pipeline.lake.load_record(run)
        assert record is not None
        assert again is not None
        assert again.freshness == record.freshness
        assert (again.finished_at > record.finished_at) == (run in (2, 3))


@pytest.mark.usefixtures("services")
async def test_a_replay_that_fails_says_at_which_run_and_changes_nothing_of_it(replay: Replay) -> None:
    before = {id_: row[-1] for id_, row in (await replay.versions()).items()}
    processed, ingest = replay.pipeline.lake.processed, replay.pipeline.lake.ingest
    broken = part_key("lending", "fact_loan", 3, 0, "parquet")
    await processed.put(broken, b"broken")
    ended = replay(2, 3, "--from-stage", "load")
    assert (ended.code, ended.out) == (1, ""), ended.words
    assert f"load failed at run 3: Corrupt object: s3://{processed.name}/{broken} is not what" in ended.err
    assert {id_: row[-1] for id_, row in (await replay.versions()).items()} == before
    mended = replay(3, 3)
    assert mended.code == 0, mended.err
    assert "3 fact_loan 2 2 0 5-6" in mended.words
    await ingest.put(part_key("lending", "loan", 3, 0, "csv"), b"broken")
    ended = replay(3, 3)
    assert (ended.code, "transform failed at run 3: Corrupt object" in ended.err) == (1, True), ended.err


async def test_runs_that_load_has_not_done_yet_are_refused(replay: Replay) -> None:
    processed = replay.pipeline.lake.processed
    await processed.client.delete_object(Bucket=processed.name, Key=record_key(1, LOAD))
    ended = replay(1, 1)
    assert (ended.code, "No run from 1 to 1 is in the warehouse yet" in ended.err) == (2, True), ended.err

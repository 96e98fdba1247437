"""`totesys rebuild` and `totesys compare`: a new warehouse from the lake alone, equal to the one that there was."""

import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from random import Random

import pytest

from tests.command import Command, Ended
from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.processes import LIBRARY
from tests.sources import execute, value
from totesys.connection import connect
from totesys.triggers import RunsTrigger
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.source_database import create_source
from totesys_infra import data_plane_template

NAME = "test-rebuild"
RUNS = 50
SEED = 20261125
OBJECTS = "SELECT count(*) FROM etl.run"


@dataclass(frozen=True)
class Rebuild:
    """A warehouse with a long history, its lake, and the commands for them."""

    pipeline: Pipeline
    totesys: Command
    place: tuple[str, ...]

    def __call__(self, warehouse: str, *options: str) -> Ended:
        return self.totesys("rebuild", "--warehouse", warehouse, *self.place, *options)

    def compare(self, other: str, *options: str) -> Ended:
        return self.totesys("compare", "--warehouse", self.pipeline.warehouse_dsn, "--with", other, *options)

    async def etags(self) -> dict[str, str]:
        """Every object of the lake, with what tells whether it was written."""
        bucket = self.pipeline.lake.processed
        pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
        return {entry["Key"]: str(entry["LastModified"]) async for page in pages for entry in page["Contents"]}


def day(random: Random, number: int) -> list[str]:
    """What happens in the company between two runs; shops that nobody knows come some days after their sales."""
    sale, shop = random.randint(1, 60), random.choice([1, 2, number // 10 + 10])
    return [
        f"INSERT INTO sale VALUES ({100 + number}, {shop}, 1, {number}, NULL, now())",
        f"UPDATE sale SET amount = {random.randint(1, 3)}, note = 'n{number % 2}' WHERE sale_id % 60 = {sale}",
        f"UPDATE refund SET amount = {random.choice(['NULL', '1', '2'])} WHERE refund_id % 3 = {number % 3}",
        *([f"INSERT INTO shop VALUES ({number // 10 + 9}, 'S{number}', 1, now())"] if number % 10 == 5 else []),
        *([f"UPDATE region SET region_name = 'North {number}'"] if number % 7 == 0 else []),
    ]


@pytest.fixture(scope="module")
async def rebuild(
    postgres: ReachablePostgres, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rebuild]:
    source, warehouse = (postgres.create_database(f"rebuild_{name}") for name in ("source", "warehouse"))
    plane: LocalDataPlane = emulator.apply(data_plane_template(), NAME)
    async with connect("The source", source) as connection:
        await create_source(connection, MODEL)
    await execute(
        source,
        "ALTER TABLE sale DROP CONSTRAINT sale_shop_id_fkey",
        "INSERT INTO region VALUES (1, 'North', now())",
        "INSERT INTO shop VALUES (1, 'Corner', 1, now()), (2, NULL, 1, now())",
        "INSERT INTO ticket VALUES (1, 'paper', now())",
        "INSERT INTO sale SELECT n, 1 + n % 2, 1, n, NULL, now() FROM generate_series(1, 99) AS n",
        "INSERT INTO refund SELECT n, 1, n, now() FROM generate_series(1, 9) AS n",
    )
    random = Random(SEED)
    async with Pipeline(MODEL, plane, source, warehouse) as pipeline:
        for number in range(1, RUNS):
            await pipeline.tick()
            await execute(source, *day(random, number))
        await pipeline.tick()
        await pipeline.catch_up(RunsTrigger(from_run=20, to_run=22))
        command = Command(tmp_path_factory.mktemp("rebuild"))
        command.settings = {"TOTESYS_MODEL": "tests.models.shops"}
        yield Rebuild(pipeline, command, ("--name", NAME, "--endpoint", plane.endpoint_url))
    for name in ("source", "warehouse"):
        postgres.drop_database(f"rebuild_{name}")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", LIBRARY["PYTHONPATH"] + os.pathsep)


async def test_a_warehouse_rebuilt_from_the_lake_of_fifty_runs_equals_the_first_one(
    rebuild: Rebuild, database: Callable[[], str]
) -> None:
    objects, new = await rebuild.etags(), database()
    ended = rebuild(new, "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert (said["loaded"], said["already_there"]) == (RUNS, 0)
    assert [line for line in ended.err.splitlines() if f"{RUNS} of {RUNS}  run {RUNS}, " in line]
    assert await rebuild.etags() == objects
    compared = rebuild.compare(new, "--json")
    tables = {table.pop("table"): table for table in json.loads(compared.out)["tables"]}
    assert compared.code == 0, compared.out
    assert tables["fact_sale"]["rows"][0] == tables["fact_sale"]["rows"][1] > 150
    assert tables["fact_sale"]["runs"] > RUNS - 5
    assert {*tables} == {*(table.name for table in MODEL.tables), "etl.run", "etl.deletion", "etl.orphan"}
    await execute(new, "UPDATE warehouse.fact_sale SET amount = amount + 1 WHERE sale_record_id = 150")
    different = rebuild.compare(new)
    assert different.code == 1
    assert "The warehouses differ in fact_sale." in different.words
    assert "fact_sale differs in runs " in different.words


async def test_versions_that_came_from_another_run_are_a_difference(
    rebuild: Rebuild, database: Callable[[], str]
) -> None:
    new = database()
    assert rebuild(new).code == 0
    await execute(
        new,
        "UPDATE etl.run_table SET last_record_id = last_record_id - 1 WHERE run = 1 AND table_name = 'fact_sale'",
        "UPDATE etl.run_table SET first_record_id = first_record_id - 1 WHERE run = 2 AND table_name = 'fact_sale'",
    )
    assert "fact_sale differs in runs 1, 2" in rebuild.compare(new).words


async def test_a_rebuild_that_is_broken_off_goes_on_where_it_was(rebuild: Rebuild, database: Callable[[], str]) -> None:
    new = database()
    with rebuild.totesys.started("rebuild", "--warehouse", new, *rebuild.place) as process:
        assert process.stderr is not None
        while "10 of 50" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    done = await value(new, OBJECTS)
    assert 10 <= done < RUNS
    ended = rebuild(new)
    assert (ended.code, f"{RUNS - done} runs with" in ended.out) == (0, True), ended.words
    assert f"{done} were there already" in ended.words
    assert rebuild.compare(new).code == 0
    assert "Loaded 0 runs with 0 rows; 50 were there already." in rebuild(new).words


async def test_a_database_that_holds_anything_else_is_refused_untouched(
    rebuild: Rebuild, database: Callable[[], str]
) -> None:
    new = database()
    await execute(new, "CREATE SCHEMA warehouse", "CREATE TABLE warehouse.dim_shop AS SELECT 1 AS shop_id")
    ended = rebuild(new)
    assert (ended.code, ended.out) == (2, "")
    assert "has rows of dim_shop that no run wrote. Name an empty database." in ended.err
    assert await value(new, "SELECT to_regnamespace('etl')") is None
    other = database()
    assert rebuild(other).code == 0
    outside = "INSERT INTO warehouse.fact_refund (refund_id, ticket_id) VALUES (1, 1)"
    await execute(other, outside)
    assert "has rows of fact_refund that no run wrote" in rebuild(other).err
    await execute(
        other,
        "DELETE FROM warehouse.fact_refund",
        "INSERT INTO etl.run SELECT gen_random_uuid(), 99, 0, 1, true, now(), 0 FROM etl.run LIMIT 1",
    )
    assert "has runs of another lake" in rebuild(other).err

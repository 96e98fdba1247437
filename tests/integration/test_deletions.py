"""What the source deletes leaves the current rows and stays in the history; what it makes again comes back."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from tests.models.shops import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_shops, rows, value
from totesys.errors import BadMessage
from totesys.triggers import RECONCILE, ExtractTrigger, RunsTrigger
from totesys_cli.local.local_data_plane import LocalDataPlane

pytestmark = pytest.mark.postgres

CURRENT = "SELECT sale_id, amount FROM warehouse.fact_sale_current ORDER BY sale_id"
ALL = "SELECT sale_id, amount FROM warehouse.fact_sale ORDER BY sale_record_id"
DELETED = "SELECT table_name, id, run, returned_run FROM etl.deletion ORDER BY run, table_name, id"


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """Four sales, each of a ticket of its own, in the warehouse."""
    source = await make_shops(
        database(),
        "INSERT INTO shop VALUES (2, 'Mall', 1, now())",
        "INSERT INTO ticket SELECT n, 'paper', now() FROM generate_series(1, 5) AS n",
        "INSERT INTO sale SELECT n, 1, n, n * 10, NULL, date '2026-01-01' FROM generate_series(1, 4) AS n",
    )
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        await opened.tick()
        yield opened


async def sweep(pipeline: Pipeline) -> None:
    await pipeline.tick("sweep")


async def test_a_sweep_finds_what_was_deleted_of_facts_and_dimensions_and_history_keeps_it(pipeline: Pipeline) -> None:
    await execute(
        pipeline.source_dsn,
        "DELETE FROM sale WHERE sale_id IN (1, 3)",
        "DELETE FROM ticket WHERE ticket_id IN (3, 5)",
        "DELETE FROM shop WHERE shop_id = 2",
    )
    await pipeline.tick()
    assert len(await rows(pipeline.warehouse_dsn, CURRENT)) == 4, "a tick looks for no deletions"
    await sweep(pipeline)
    assert await rows(pipeline.warehouse_dsn, CURRENT) == [(2, 20), (4, 40)]
    assert await rows(pipeline.warehouse_dsn, ALL) == [(1, 10), (2, 20), (3, 30), (4, 40)]
    assert await rows(pipeline.warehouse_dsn, DELETED) == [
        ("dim_shop", 2, 3, None),
        ("dim_ticket", 3, 3, None),
        ("dim_ticket", 5, 3, None),
        ("fact_sale", 1, 3, None),
        ("fact_sale", 3, 3, None),
    ]
    await sweep(pipeline)
    assert len(await rows(pipeline.warehouse_dsn, DELETED)) == 5, "each is recorded once"


async def test_an_id_that_is_made_again_comes_back_even_if_it_is_as_it_was(pipeline: Pipeline) -> None:
    again = "INSERT INTO sale VALUES (3, 1, 3, 30, NULL, date '2026-01-01')"
    for run in (2, 4):
        await execute(pipeline.source_dsn, "DELETE FROM sale WHERE sale_id = 3")
        await sweep(pipeline)
        assert [sale for sale, _ in await rows(pipeline.warehouse_dsn, CURRENT)] == [1, 2, 4]
        await execute(pipeline.source_dsn, again)
        await pipeline.tick()
        assert len(await rows(pipeline.warehouse_dsn, CURRENT)) == 4
        assert (await rows(pipeline.warehouse_dsn, DELETED))[-1] == ("fact_sale", 3, run, run + 1)
    assert len(await rows(pipeline.warehouse_dsn, ALL)) == 4, "it has not changed"


async def test_a_function_shows_the_facts_as_they_were_at_any_moment(pipeline: Pipeline) -> None:
    changes = ("UPDATE sale SET amount = 99 WHERE sale_id = 2", "DELETE FROM sale WHERE sale_id = 2")
    for change in (*changes, "INSERT INTO sale VALUES (2, 1, 2, 7, NULL, now())"):
        await execute(pipeline.source_dsn, change)
        await sweep(pipeline)
    moments = await rows(pipeline.warehouse_dsn, "SELECT snapshot_time FROM etl.run ORDER BY run")
    assert [await as_of(pipeline, moment) for (moment,) in moments] == [20, 99, None, 7]
    before = moments[0][0] - timedelta(seconds=1)
    assert await value(pipeline.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_sale_as_of($1)", before) == 0
    assert await value(pipeline.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_sale_as_of(now())") == 4


async def as_of(pipeline: Pipeline, moment: datetime) -> int | None:
    query = "SELECT max(amount) FROM {}.fact_sale_as_of($1) WHERE sale_id = 2"
    one, other = [await value(pipeline.warehouse_dsn, query.format(s), moment) for s in ("warehouse", "sales")]
    assert one == other
    return None if one is None else int(one)


async def test_an_empty_table_is_all_deleted_and_an_emptied_one_takes_rows_again(pipeline: Pipeline) -> None:
    await execute(pipeline.source_dsn, "DELETE FROM sale")
    await sweep(pipeline)
    assert await rows(pipeline.warehouse_dsn, CURRENT) == []
    await execute(pipeline.source_dsn, "INSERT INTO sale VALUES (2, 1, 2, 5, NULL, now()), (9, 1, 5, 9, NULL, now())")
    await pipeline.tick()
    assert await rows(pipeline.warehouse_dsn, CURRENT) == [(2, 5), (9, 9)]


async def test_a_repair_brings_the_rows_that_it_names_and_sweeps(pipeline: Pipeline) -> None:
    await execute(
        pipeline.warehouse_dsn,
        "UPDATE warehouse.fact_sale SET amount = 0 WHERE sale_id = 1",
        "DELETE FROM warehouse.fact_sale WHERE sale_id = 2",
        "INSERT INTO warehouse.fact_sale (sale_id, shop_id, ticket_id, amount, last_updated) "
        "VALUES (77, 1, 1, 1, now())",
        "UPDATE warehouse.dim_shop SET shop_name = 'wrong' WHERE shop_id = 1",
    )
    await pipeline.ingest.work(ExtractTrigger(mode="repair", keys={"sale": (1, 2), "shop": ()}))
    await pipeline.catch_up()
    assert await rows(pipeline.warehouse_dsn, CURRENT) == [(1, 10), (2, 20), (3, 30), (4, 40)]
    assert await value(pipeline.warehouse_dsn, "SELECT shop_name FROM warehouse.dim_shop WHERE shop_id = 1") == "Corner"
    manifest = await pipeline.lake.manifest(2)
    assert manifest is not None
    assert {name: table.rows for name, table in manifest.tables.items()} == {"sale": 2, "shop": 2, "region": 1}
    with pytest.raises(BadMessage, match="The source has no declared table nothing"):
        await pipeline.ingest.work(ExtractTrigger(mode="repair", keys={"nothing": (1,)}))


async def test_a_replay_changes_no_deletion(pipeline: Pipeline) -> None:
    await execute(pipeline.source_dsn, "DELETE FROM sale WHERE sale_id = 3")
    await sweep(pipeline)
    await execute(
        pipeline.source_dsn, "INSERT INTO sale VALUES (3, 1, 3, 1, NULL, now())", "DELETE FROM shop WHERE shop_id = 2"
    )
    await sweep(pipeline)
    before = [await rows(pipeline.warehouse_dsn, query) for query in (CURRENT, ALL, DELETED)]
    await pipeline.catch_up(RunsTrigger(from_run=1, to_run=3))
    await pipeline.load.work(RunsTrigger(run=2))
    assert [await rows(pipeline.warehouse_dsn, query) for query in (CURRENT, ALL, DELETED)] == before


@pytest.mark.parametrize("seed", ["20261125-1", "20261125-2"])
async def test_ranges_say_exactly_which_keys_there_are(pipeline: Pipeline, seed: str) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    keys = {random.choice([random.randint(-40, 40), random.choice([-(2**31), 2**31 - 1])]) for _ in range(50)}
    places = ", ".join(f"({key}, 'paper', now())" for key in keys)
    await execute(pipeline.source_dsn, "DELETE FROM sale", "DELETE FROM ticket", f"INSERT INTO ticket VALUES {places}")
    await pipeline.ingest.work(ExtractTrigger(mode="sweep"))
    manifest = await pipeline.lake.manifest(2)
    assert manifest is not None
    (part,) = manifest.keys["ticket"].parts
    lines = (await pipeline.lake.ingest.get_part(part)).decode().splitlines()
    assert lines[0] == "first_key,last_key"
    ranges = [tuple(map(int, line.split(","))) for line in lines[1:]]
    assert {key for first, last in ranges for key in range(first, last + 1)} == keys
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges)), "none touches the next"
    await pipeline.transform.work(RECONCILE)
    await pipeline.load.work(RECONCILE)
    gone = {row[1] for row in await rows(pipeline.warehouse_dsn, DELETED) if row[0] == "dim_ticket"}
    assert gone == {1, 2, 3, 4, 5} - keys

"""Facts that a query joins of several tables: a change, a deletion or an insertion in any of them arrives."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from random import Random

import pytest

from tests.models.receipts import MODEL, ORDER_LINE, tables
from tests.pipeline import Pipeline
from tests.sources import execute, rows
from totesys.errors import SchemaDrift
from totesys.schema import Model
from totesys.table import Column, SourceQuery
from totesys.types import TEXT
from totesys.verify import verify
from totesys_cli.local.local_data_plane import LocalDataPlane

KEYS = 9
CURRENT = "SELECT line_id, ordered_at, customer_id, units, price, percent FROM {} ORDER BY line_id"
SETUP = (
    "INSERT INTO customer SELECT n, 'Customer ' || n FROM generate_series(1, 3) AS n",
    "INSERT INTO ord SELECT n, timestamptz '2026-01-01 1:00', n % 3 + 1 FROM generate_series(1, 4) AS n",
    "INSERT INTO line SELECT n, n % 4 + 1, n, n * 1.5 FROM generate_series(1, 6) AS n",
    "INSERT INTO discount SELECT n, n, 10 FROM generate_series(1, 3) AS n",
)


@pytest.fixture(params=[True, False], ids=["foreign keys", "no foreign keys"])
async def pipeline(
    request: pytest.FixtureRequest, database: Callable[[], str], data_plane: LocalDataPlane
) -> AsyncIterator[Pipeline]:
    source = database()
    await execute(source, tables(foreign_keys=request.param), *SETUP)
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        await opened.tick()
        yield opened


async def verified(pipeline: Pipeline) -> None:
    found = await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    assert found.is_equal, [table for table in found if not table.is_equal]


async def change(pipeline: Pipeline, *statements: str) -> int:
    """Change the source and bring it over by a tick; how many rows of the query ingest extracted."""
    await execute(pipeline.source_dsn, *statements)
    await pipeline.tick()
    await verified(pipeline)
    manifest = await pipeline.lake.newest_manifest()
    assert manifest is not None
    return manifest.tables[ORDER_LINE.name].rows if ORDER_LINE.name in manifest.tables else 0


async def test_a_tick_extracts_the_lines_of_what_changed_in_any_table(pipeline: Pipeline) -> None:
    assert await change(pipeline, "UPDATE line SET units = 9 WHERE line_id = 1") == 1
    if "REFERENCES" in str(await rows(pipeline.source_dsn, "SELECT conname, 'REFERENCES' FROM pg_constraint "
                                      "WHERE contype = 'f'")):  # fmt: skip
        assert await change(pipeline, "UPDATE ord SET customer_id = 3 WHERE ord_id = 2") == 2
        assert (
            await change(pipeline, "UPDATE ord SET customer_id = 1 WHERE ord_id = 2", "UPDATE line SET units = 4") == 6
        )
    assert await change(pipeline, "INSERT INTO discount VALUES (4, 4, 50)") == 1
    # The row that it was joined with shows no trace of a deletion, so all are extracted, and one version is written.
    before = await rows(pipeline.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_line")
    assert await change(pipeline, "DELETE FROM discount WHERE line_id = 2") == 6
    assert await rows(pipeline.warehouse_dsn, "SELECT count(*) FROM warehouse.fact_line") == [(before[0][0] + 1,)]
    assert await change(pipeline) == 0


def a_change(random: Random) -> str:
    key, other = random.randint(1, KEYS), random.randint(1, KEYS)
    inserted = (
        f"SELECT {key}, {other}, {random.randint(1, 9)} WHERE NOT EXISTS (SELECT FROM discount WHERE line_id = {other})"
    )
    return random.choice(
        [
            f"INSERT INTO customer VALUES ({key}, 'new') ON CONFLICT DO NOTHING",
            f"INSERT INTO ord VALUES ({key}, now(), {random.randint(1, 3)}) ON CONFLICT DO NOTHING",
            f"UPDATE ord SET customer_id = {random.randint(1, 3)} WHERE ord_id = {key}",
            f"UPDATE ord SET status = CASE status WHEN 'void' THEN 'new' ELSE 'void' END WHERE ord_id = {key}",
            f"DELETE FROM ord WHERE ord_id = {key}",
            *2
            * [
                f"INSERT INTO line SELECT {key}, ord_id, 1, 0.25 FROM ord WHERE ord_id = {other} ON CONFLICT DO NOTHING"
            ],
            f"UPDATE line SET units = units + 1 WHERE line_id = {key}",
            f"UPDATE line SET ord_id = o.ord_id FROM ord AS o WHERE o.ord_id = {other} AND line_id = {key}",
            f"DELETE FROM line WHERE line_id = {key}",
            f"INSERT INTO discount {inserted} ON CONFLICT DO NOTHING",
            f"UPDATE discount SET percent = percent + 1 WHERE discount_id = {key}",
            f"DELETE FROM discount WHERE discount_id = {key}",
        ]
    )


@pytest.mark.parametrize(
    "history", [pytest.param(number, marks=[pytest.mark.long] if number else []) for number in range(5)]
)
async def test_the_fact_is_the_reference_query_whatever_happens_in_its_tables(
    pipeline: Pipeline, history: int, seed: str
) -> None:
    random = Random(f"{seed} {history}")
    for _ in range(12):
        statements = [a_change(random) for _ in range(random.randint(1, 6))]
        print(statements)
        await change(pipeline, *statements)
        if random.random() < 0.3:
            await pipeline.tick("sweep")
            reference = f"({MODEL.facts[0].reference_query}) AS r"
            assert await rows(pipeline.warehouse_dsn, CURRENT.format("warehouse.fact_line_current")) == await rows(
                pipeline.source_dsn, CURRENT.format(reference)
            )


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (replace(ORDER_LINE, tables={"l": "line", "o": "orders"}), "table orders is missing"),
        (
            replace(ORDER_LINE, sql="SELECT count(*) AS line_id FROM line AS l"),
            "Postgres refuses the query of order_line",
        ),
        (
            replace(ORDER_LINE, columns=(*ORDER_LINE.columns[:-1], Column("percent", TEXT))),
            r"order_line\.percent is integer, declared as text",
        ),
        (
            replace(ORDER_LINE, sql=ORDER_LINE.sql.replace("d.line_id = l.line_id", "true")),
            "several rows with the same line_id",
        ),
    ],
)
async def test_a_query_that_cannot_be_right_is_refused(
    query: SourceQuery, why: str, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source = database()
    await execute(source, tables(foreign_keys=True), *SETUP)
    model = Model("refused", sources=(MODEL.source("customer"), query), tables=MODEL.tables)
    async with Pipeline(model, data_plane, source, database()) as pipeline:
        with pytest.raises(SchemaDrift, match=why):
            await pipeline.tick()

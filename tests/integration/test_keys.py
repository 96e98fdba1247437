"""Keys of any type and of several columns: deleted, brought again, waiting, replayed, traced and repaired."""

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from tests.models.keyed import FACT_LINE, MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, rows
from totesys.connection import connect
from totesys.sql import column_list
from totesys.sql_keys import is_deletion_of, key_text
from totesys.table import Fact, WarehouseTable
from totesys.triggers import ExtractTrigger, RunsTrigger
from totesys.verify import Verification, verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source
from totesys_load.trace.row_origin import TraceRequest, trace_row

# Texts that a separator, a quote or an escape could confuse, and integers at both ends.
CODES = ("GB", "a,b", "a~", "~,a", "", "ü 'x'")
PRODUCTS = ("b", "a,b", ",", 'q"', "é")
NUMBERS = (-(2**63), -1, 0, 7, 2**63 - 1)


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    async with connect("The source", source := database()) as connection:
        await create_source(connection, MODEL)
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        yield opened


def text(random: Random, *choices: str) -> str:
    return "'{}'".format(random.choice(choices).replace("'", "''"))


def a_change(random: Random) -> str:
    code, product = text(random, *CODES), text(random, *PRODUCTS)
    day, number = f"date '2026-01-0{random.randint(1, 4)}'", f"'{random.choice(NUMBERS)}'::bigint"
    small = random.choice(["1", "2", "NULL"])
    values = f"{number}, {random.randint(1, 2)}, {code}, {product}, {small}"
    insert_line = f"INSERT INTO line VALUES ({values}) ON CONFLICT DO NOTHING"
    line = f"receipt = {number} AND place = {random.randint(1, 2)}"
    return random.choice(
        [
            f"INSERT INTO country VALUES ({code}, {product}) ON CONFLICT (code) DO UPDATE SET title = excluded.title",
            f"DELETE FROM country WHERE code = {code}",
            f"INSERT INTO offer VALUES ({code}, {product}, {small}) ON CONFLICT DO NOTHING",
            f"DELETE FROM offer WHERE code = {code}",
            *3 * [insert_line],
            f"UPDATE line SET units = coalesce(units, 0) + 1 WHERE receipt = {number}",
            f"UPDATE line SET product = {product} WHERE {line}",
            f"DELETE FROM line WHERE {line}",
            f"INSERT INTO closing VALUES ({day}, 1, 0) ON CONFLICT (day) DO UPDATE SET void = 1 - closing.void",
            f"DELETE FROM closing WHERE day = {day}",
            f"INSERT INTO ticket VALUES ({number}, {random.choice([code, 'NULL'])}) ON CONFLICT DO NOTHING",
            f"DELETE FROM ticket WHERE number = {number}",
        ]
    )  # fmt: skip


async def verified(pipeline: Pipeline) -> Verification:
    found = await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    assert found.is_equal, [table for table in found if not table.is_equal]
    return found


async def shown(dsn: str, table: WarehouseTable) -> list[tuple[str, ...]]:
    """The rows that count now."""
    relation = table.current if isinstance(table, Fact) else table.name
    columns, deletion = column_list(table.column_names, "t"), is_deletion_of(table, "d", "t")
    return await rows(
        dsn,
        f"SELECT {columns} FROM warehouse.{relation} AS t WHERE NOT EXISTS (SELECT FROM etl.deletion AS d "
        f"WHERE d.table_name = '{table.name}' AND d.returned_run IS NULL AND {deletion}) "
        f"ORDER BY {key_text(table, 't')}",
    )


@pytest.mark.parametrize(
    "history", [pytest.param(number, marks=[pytest.mark.long] if number else []) for number in range(6)]
)
async def test_whatever_identifies_a_row_its_changes_and_deletions_arrive(
    pipeline: Pipeline, history: int, seed: str, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    random = Random(f"{seed} {history}")
    for _ in range(10):
        statements = [a_change(random) for _ in range(random.randint(3, 14))]
        print(statements)
        await execute(pipeline.source_dsn, *statements)
        await pipeline.tick(random.choice(["changes", "changes", "sweep"]))
        await verified(pipeline)
        if random.random() < 0.3:
            runs = await rows(pipeline.warehouse_dsn, "SELECT run FROM etl.run ORDER BY run")
            (first,), (last,) = sorted(random.choices(runs, k=2)) if runs else ((1,), (1,))
            await pipeline.catch_up(RunsTrigger(from_run=first, to_run=last, replay=f"again-{random.getrandbits(60)}"))
            await verified(pipeline)
    await pipeline.tick("sweep")
    assert not any(table.changed_since or table.deleted_since for table in await verified(pipeline))
    states = [await shown(pipeline.warehouse_dsn, table) for table in MODEL.tables]
    async with Pipeline(MODEL, data_plane, pipeline.source_dsn, other := database()) as again:
        await again.catch_up()
    assert [await shown(other, table) for table in MODEL.tables] == states


async def test_a_row_of_several_key_columns_is_traced_and_repaired(pipeline: Pipeline) -> None:
    await execute(
        pipeline.source_dsn,
        "INSERT INTO offer VALUES ('a,b', '~', 1)",
        "INSERT INTO line VALUES (7, 1, 'a,b', '~', 2), (7, 2, 'a,b', '~', 3), (8, 1, 'a,b', '~', NULL)",
    )
    await pipeline.tick()
    await execute(pipeline.source_dsn, "DELETE FROM line WHERE place = 2")
    await pipeline.tick("sweep")
    for table, key, versions, deletions, quarantined in (
        ("fact_line", "7,1", 1, 0, 0),
        ("fact_line", "7,2", 1, 1, 0),
        ("fact_line", "8,1", 0, 0, 1),
        ("dim_offer", "a~,b,~~", 1, 0, 0),
    ):
        found = await trace_row(
            pipeline.lake, MODEL, pipeline.warehouse_dsn, "warehouse", TraceRequest(table, key)
        )  # fmt: skip
        assert found is not None, key
        counts = len(found.versions), len(found.deletions), len(found.quarantine)
        assert counts == (versions, deletions, quarantined), key
        assert all(origin.parquet and origin.csv for one in found.versions for origin in one.origins)
    await execute(pipeline.warehouse_dsn, "UPDATE warehouse.fact_line SET units = 9 WHERE place = 1")
    wrong = await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL, tables=[FACT_LINE])
    assert [row.key for table in wrong for row in table.wrong] == ["7,1"]
    await pipeline.ingest.work(ExtractTrigger(mode="repair", keys={"line": ("7,1",)}))
    await pipeline.catch_up()
    await verified(pipeline)

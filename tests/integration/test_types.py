"""Every type, NULL and its extremes, from the source through CSV and Parquet to the warehouse and its verification."""

from collections.abc import Callable
from itertools import count

import pytest

from tests.models.typed import CASES, MODEL, SETUP
from tests.pipeline import Pipeline
from tests.sources import execute, rows, value
from totesys.errors import SchemaDrift
from totesys.verify import verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_load.parquet_parts import get_part

LONGEST = max(len(case.values) for case in CASES.values())


async def fill(source: str) -> set[str]:
    """A row without values, rows with a value in every column, and a row for each refused value; the refused ids."""
    numbers = count(1)
    names = ", ".join(("id", *CASES))
    held = [[case.values[place % len(case.values)] for case in CASES.values()] for place in range(LONGEST)]
    held.append(["NULL" for _ in CASES])
    statements, refused = [], set()
    for values in held:
        number = next(numbers)
        statements += [
            f"INSERT INTO {of} ({names}) VALUES ({number}, {', '.join(values)})" for of in ("thing", "event")
        ]
    for name, case in CASES.items():
        for one in case.refused:
            refused.add(str(number := next(numbers)))
            statements += [f"INSERT INTO {of} (id, {name}) VALUES ({number}, {one})" for of in ("thing", "event")]
    await execute(source, *SETUP, *statements)
    return refused


async def test_every_value_of_every_type_arrives_exactly_or_is_quarantined(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source = database()
    refused = await fill(source)
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        await pipeline.tick()
        found = {table.table: table for table in await verify(source, pipeline.warehouse_dsn, MODEL)}
        for table in MODEL.tables:
            comparison = found[table.name]
            assert (comparison.equal, comparison.wrong) == (LONGEST + 1, ()), comparison.samples
            assert {row["id"] for row in await pipeline.quarantine(table.name)} == refused
            assert comparison.quarantined == len(refused)
            # The check of verification itself: the texts of the reference query and of the warehouse.
            texts = ", ".join(f"CAST({c.name} AS {c.type.postgres})::text" for c in table.columns)
            relation = f"warehouse.{table.name}"
            condition = f"id NOT IN ({', '.join(refused)})"
            scaled = texts.replace("AS numeric)", "AS numeric(38,9))")
            query = f"SELECT {scaled} FROM ({table.reference_query}) AS r WHERE {condition} ORDER BY id"
            expected = await rows(source, query)
            assert await rows(pipeline.warehouse_dsn, f"SELECT {texts} FROM {relation} ORDER BY id") == expected
        manifest = await pipeline.lake.processed_manifest(1)
        assert manifest is not None
        for table in MODEL.tables:
            for part in manifest.tables[table.name].parts:
                # Raises CorruptObject unless the columns have the declared types.
                assert (await get_part(pipeline.lake.processed, part, table)).columns == table.columns

        await execute(source, "UPDATE event SET rating = 2, moment = '2026-01-01' WHERE id <= 3")
        await pipeline.tick()
        await pipeline.tick("full")
        assert all(table.is_equal for table in await verify(source, pipeline.warehouse_dsn, MODEL))
        # What was delivered again unchanged is no new version, whatever its type.
        versions = "SELECT count(*) FROM warehouse.fact_event"
        assert await value(pipeline.warehouse_dsn, versions) == LONGEST + 1 + 3


async def test_a_type_that_is_not_the_declared_one_is_refused_with_what_to_declare(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source = database()
    await execute(source, *SETUP, "ALTER TABLE event ALTER COLUMN label TYPE cidr USING NULL")
    async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
        with pytest.raises(SchemaDrift, match=r"event\.label is cidr, declared as text: declare as_text\('cidr'\)"):
            await pipeline.tick()

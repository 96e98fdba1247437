"""Rows that a build leaves out leave the warehouse, and come back with it; deleted rows of joined tables count, too."""

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from tests.models.films import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, rows
from totesys.connection import connect
from totesys.verify import Verdict, verify
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source

KEYS = 8
FILMS = (
    "SELECT film_id, category FROM warehouse.dim_film AS f WHERE NOT EXISTS (SELECT FROM etl.deletion AS d "
    "WHERE d.table_name = 'dim_film' AND d.id = f.film_id AND d.returned_run IS NULL) ORDER BY film_id"
)
RENTALS = "SELECT rental_id, status FROM warehouse.fact_rental_current ORDER BY rental_id"
SETUP = (
    "INSERT INTO language VALUES (1, 'English'), (2, 'German')",
    "INSERT INTO film VALUES (1, 'Metropolis', 2, true), (2, 'M', 2, true), (3, 'Brazil', 1, true)",
    "INSERT INTO film_category VALUES (1, 'Future'), (2, 'Crime')",
    "INSERT INTO rental VALUES (1, 1, 'out'), (2, 2, 'back'), (3, 3, 'void')",
)


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    source = database()
    async with connect("The source", source) as connection:
        await create_source(connection, MODEL)
    await execute(source, *SETUP)
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        await opened.tick()
        yield opened


async def change(pipeline: Pipeline, *statements: str) -> None:
    """Change the source, and bring it over by a tick."""
    await execute(pipeline.source_dsn, *statements)
    await pipeline.tick()
    assert (await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)).is_equal


async def test_a_deleted_row_of_a_joined_table_changes_what_it_was_joined_to(pipeline: Pipeline) -> None:
    await change(pipeline, "DELETE FROM film_category WHERE film_id = 1")
    assert await rows(pipeline.warehouse_dsn, FILMS) == [(1, None), (2, "Crime"), (3, None)]
    await change(pipeline, "TRUNCATE film_category")
    assert await rows(pipeline.warehouse_dsn, FILMS) == [(1, None), (2, None), (3, None)]


async def test_a_row_that_a_filter_leaves_out_ends_and_comes_back(pipeline: Pipeline) -> None:
    assert await rows(pipeline.warehouse_dsn, RENTALS) == [(1, "out"), (2, "back")]
    await change(pipeline, "UPDATE rental SET status = 'void' WHERE rental_id = 1")
    assert await rows(pipeline.warehouse_dsn, RENTALS) == [(2, "back")]
    await pipeline.tick("sweep")
    assert await rows(pipeline.warehouse_dsn, RENTALS) == [(2, "back")]
    await change(pipeline, "UPDATE rental SET status = 'out' WHERE rental_id IN (1, 3)")
    assert await rows(pipeline.warehouse_dsn, RENTALS) == [(1, "out"), (2, "back"), (3, "out")]
    assert await pipeline.quarantine("fact_rental") == []


async def test_a_row_that_an_inner_join_no_longer_matches_ends_and_comes_back(pipeline: Pipeline) -> None:
    await change(pipeline, "DELETE FROM language WHERE language_id = 2")
    assert await rows(pipeline.warehouse_dsn, FILMS) == [(3, None)]
    await change(pipeline, "INSERT INTO language VALUES (2, 'Deutsch')")
    assert await rows(pipeline.warehouse_dsn, FILMS) == [(1, "Future"), (2, "Crime"), (3, None)]


async def test_a_rebuilt_warehouse_leaves_the_same_rows_out(
    pipeline: Pipeline, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    await change(pipeline, "UPDATE rental SET status = 'void' WHERE rental_id = 1", "UPDATE film SET offered = false")
    expected = [await rows(pipeline.warehouse_dsn, query) for query in (FILMS, RENTALS)]
    async with Pipeline(MODEL, data_plane, pipeline.source_dsn, other := database()) as again:
        await again.catch_up()
    assert [await rows(other, query) for query in (FILMS, RENTALS)] == expected == [[], [(2, "back")]]


async def test_verification_finds_a_row_that_the_source_has_and_the_build_leaves_out(pipeline: Pipeline) -> None:
    await execute(pipeline.source_dsn, "UPDATE rental SET status = 'void' WHERE rental_id = 1")
    await pipeline.tick()
    await execute(pipeline.warehouse_dsn, "DELETE FROM etl.deletion")
    found = await verify(pipeline.source_dsn, pipeline.warehouse_dsn, MODEL)
    (wrong,) = [row for table in found for row in table.wrong]
    assert (wrong.key, wrong.verdict) == ("1", Verdict.EXTRA)


def a_change(random: Random) -> str:
    key, other = random.randint(1, KEYS), random.randint(1, KEYS)
    status = random.choice(["out", "back", "void"])
    return random.choice(
        [
            f"INSERT INTO language VALUES ({key}, 'new') ON CONFLICT DO NOTHING",
            f"UPDATE language SET language_name = 'changed' WHERE language_id = {key}",
            f"DELETE FROM language WHERE language_id = {key}",
            f"INSERT INTO film_category VALUES ({key}, '{status}') ON CONFLICT DO NOTHING",
            f"DELETE FROM film_category WHERE film_id = {key}",
            f"INSERT INTO film VALUES ({key}, 'new', {other}, true) ON CONFLICT DO NOTHING",
            f"UPDATE film SET offered = NOT offered, language_id = {other} WHERE film_id = {key}",
            f"DELETE FROM film WHERE film_id = {key}",
            f"INSERT INTO rental VALUES ({key}, {other}, '{status}') ON CONFLICT DO NOTHING",
            f"UPDATE rental SET status = '{status}' WHERE rental_id = {key}",
            f"DELETE FROM rental WHERE rental_id = {key}",
        ]
    )


@pytest.mark.parametrize(
    "history", [pytest.param(number, marks=[pytest.mark.long] if number else []) for number in range(6)]
)
async def test_the_warehouse_is_the_reference_query_whatever_becomes_of_joined_rows(
    pipeline: Pipeline, history: int, seed: str
) -> None:
    random = Random(f"{seed} {history}")
    for _ in range(15):
        statements = [a_change(random) for _ in range(random.randint(1, 6))]
        print(statements)
        await change(pipeline, *statements)
        if random.random() < 0.4:
            await pipeline.tick("sweep")
            current = await rows(pipeline.warehouse_dsn, RENTALS)
            assert current == await rows(pipeline.source_dsn, "SELECT rental_id, status FROM rental "
                                         "WHERE status <> 'void' ORDER BY rental_id")  # fmt: skip
            films = await rows(pipeline.warehouse_dsn, FILMS)
            reference = next(table.reference_query for table in MODEL.dimensions)
            assert films == await rows(
                pipeline.source_dsn, f"SELECT film_id, category FROM ({reference}) AS f ORDER BY film_id"
            )

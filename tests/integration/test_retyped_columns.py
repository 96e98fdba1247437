"""A column whose type became a compatible one still brings its values, and verification agrees."""

from collections.abc import Callable

import pytest

from tests.models.values import BOX, MODEL, THING
from tests.pipeline import Pipeline
from tests.sources import execute, make_company, rows, verified
from totesys.connection import connect
from totesys.model import MODEL as COMPANY
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.preflight import check_source
from totesys_cli.source_database import create_source

pytestmark = pytest.mark.postgres

# Of each type several that its columns become in turn, and a value of the narrowest.
RETYPED: dict[str, tuple[tuple[str, ...], str]] = {
    "small_number": (("smallint",), "-32768"),
    "large_number": (("integer", "smallint"), "32767"),
    "free_text": (("character varying", "character varying(4)", '"Mood"'), "fine"),
    "short_text": (("character varying(9)", "character varying(4)"), "four"),
    "money": (("numeric(8,1)", "numeric(5,2)", "numeric(3,-1)", "smallint"), "120"),
    "exact_number": (("numeric(12,3)", "bigint", "integer", "smallint"), "120"),
    "is_it": ((), "true"),
    "some_day": ((), "2024-02-29"),
    "some_time": (("time(2)", "time(0)"), "14:20:49"),
    "some_moment": (("timestamp(2)", "timestamp(0)"), "2022-11-03 14:20:49"),
    "mood": (("text",), "so, so"),
}
# What tells the types apart most, where the column is wide enough for it.
FINER = {"money": "1.5", "exact_number": "1.125", "some_time": "14:20:49.96", "some_moment": "2022-11-03 14:20:49.96"}
TURNS = max(len(types) for types, _ in RETYPED.values())


def retype(table: str, turn: int) -> str:
    """Each column that has a type for this turn takes it, with the values that it holds."""
    actions = [
        f"ALTER {name}{suffix} TYPE {types[turn]} USING {name}{suffix}::{types[turn]}"
        for name, (types, _) in RETYPED.items()
        if turn < len(types)
        for suffix in ("", "_or_null")
    ]
    return f"ALTER TABLE {table} {', '.join(actions)}"


def insert(table: str, keys: tuple[int, ...], values: dict[str, str]) -> str:
    """A row whose nullable columns hold the same values as the others."""
    texts = [f"'{values[name]}'" for name in RETYPED for _ in ("", "_or_null")]
    return f"INSERT INTO {table} VALUES ({', '.join([*map(str, keys), *texts])})"


async def test_a_value_of_each_compatible_type_arrives(database: Callable[[], str], data_plane: LocalDataPlane) -> None:
    source, warehouse = database(), database()
    async with connect("The source", source) as connection:
        await create_source(connection, MODEL)
    narrow = {name: value for name, (_, value) in RETYPED.items()}
    async with Pipeline(MODEL, data_plane, source, warehouse) as pipeline:
        for turn in range(TURNS):
            values = narrow | FINER if turn == 0 else narrow
            await execute(source, *(retype(table.name, turn) for table in (BOX, THING)))
            await execute(source, insert("box", (turn,), values), insert("thing", (turn, turn), values))
            await check_source(MODEL, source, "public")
            await pipeline.tick()
            assert await verified(source, warehouse, MODEL)
            assert await rows(warehouse, "SELECT count(*) FROM warehouse.fact_thing_current") == [(turn + 1,)]


async def test_the_companys_columns_may_take_any_compatible_type(
    database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    source, warehouse = await make_company(database()), database()
    await execute(
        source,
        "UPDATE department SET location = 'Leeds' WHERE location IS NOT NULL",
        "UPDATE purchase_order SET agreed_payment_date = '2024-02-29'",
        """CREATE TYPE "Place" AS ENUM ('Leeds')""",
        """CREATE TYPE "Day" AS ENUM ('2024-02-29')""",
        """ALTER TABLE department ALTER location TYPE "Place" USING location::"Place" """,
        """ALTER TABLE purchase_order ALTER agreed_payment_date TYPE "Day" USING agreed_payment_date::"Day" """,
        "ALTER TABLE sales_order ALTER agreed_payment_date TYPE varchar(10), ALTER unit_price TYPE numeric(9,1)",
        "ALTER TABLE sales_order ALTER created_at TYPE timestamp(0)",
        "ALTER TABLE payment_type ALTER payment_type_name TYPE text",
        "ALTER TABLE transaction ALTER transaction_type TYPE text",
        "ALTER TABLE department ALTER department_id TYPE smallint",
    )
    await check_source(COMPANY, source, "public")
    async with Pipeline(COMPANY, data_plane, source, warehouse) as pipeline:
        await pipeline.tick()
    assert await verified(source, warehouse, COMPANY)

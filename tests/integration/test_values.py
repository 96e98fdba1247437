"""Every value that the source can hold arrives as it is, or is quarantined as the source printed it."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count, zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models.values import BOX, MODEL, MOOD, THING, VALUES
from tests.pipeline import Pipeline
from totesys.connection import Connection, connect
from totesys.sql import column_list, ident
from totesys.table import SourceTable
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.source_database import create_source

pytestmark = pytest.mark.postgres

Row = tuple[Any, ...]


def whole_milliseconds(moment: time) -> time:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


FIRST_DAY = date.min + timedelta(days=1)
LAST_DAY = date.max - timedelta(days=1)
# Postgres holds every character but NUL.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
NASTY = [
    "",
    " ",
    "  x  ",
    "\\N",
    "\\.",
    "\n",
    "\r",
    "\r\n",
    '"',
    '""',
    ",",
    "NULL",
    "null",
    "NaN",
    "t",
    "\ufeff",
    "\x1a",
]
TEXTS = st.sampled_from(NASTY) | st.text(CHARACTERS, max_size=20)


class LongText(str):
    """More than 1 MiB of text, which shows only how it begins."""

    def __repr__(self) -> str:
        return f"LongText({self[:3]!r} * 400_000)"


LONG_TEXTS = st.text(CHARACTERS, min_size=3, max_size=3).map(lambda text: LongText(text * 400_000))
MOST = Decimal("99999999.99")
MOST_EXACT = Decimal("99999999999999999999999999999.999999999")
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "small_number": st.sampled_from([-(2**31), 2**31 - 1, 0]) | st.integers(-(2**31), 2**31 - 1),
    "large_number": st.sampled_from([-(2**63), 2**63 - 1, 0]) | st.integers(-(2**63), 2**63 - 1),
    "free_text": st.one_of(*[TEXTS] * 30, LONG_TEXTS),
    "short_text": st.sampled_from(NASTY) | st.text(CHARACTERS, max_size=10),
    "money": st.sampled_from([MOST, MOST.copy_negate()]) | st.decimals(-MOST, MOST, places=2),
    "exact_number": st.sampled_from([MOST_EXACT, MOST_EXACT.copy_negate()])
    | st.integers(-(10**38) + 1, 10**38 - 1).map(
        lambda digits: Decimal((digits < 0, tuple(map(int, str(abs(digits)))), -9))
    ),
    "is_it": st.booleans(),
    # The driver takes the first and the last of Python's days for infinite ones.
    "some_day": st.sampled_from([FIRST_DAY, LAST_DAY, date(2000, 2, 29)]) | st.dates(FIRST_DAY, LAST_DAY),
    "some_time": st.sampled_from([time.min, time(23, 59, 59, 999_000)]) | st.times().map(whole_milliseconds),
    "some_moment": st.builds(
        lambda day, time: datetime.combine(day, time), st.dates(FIRST_DAY), st.times().map(whole_milliseconds)
    ),
    "mood": st.sampled_from(MOOD.values),
}
ROWS = st.tuples(*(part for values in STRATEGIES.values() for part in (values, st.none() | values)))

ORDINARY: dict[str, Any] = {
    "small_number": 1,
    "large_number": 2,
    "free_text": "three",
    "short_text": "four",
    "money": Decimal("5.00"),
    "exact_number": Decimal("6.000000001"),
    "is_it": True,
    "some_day": date(2022, 11, 3),
    "some_time": time(14, 20, 49, 962_000),
    "some_moment": datetime.fromisoformat("2022-11-03T14:20:49.962"),
    "mood": "fine",
}
FIRST_BOX = 1
# What Postgres holds and no date, time or decimal of the lake does.
IMPOSSIBLE = [
    ("some_moment", "infinity"),
    ("some_moment", "-infinity"),
    ("some_moment", "0044-03-15 12:00:00 BC"),
    ("some_moment", "10000-01-01 00:00:00"),
    ("some_day", "infinity"),
    ("some_day", "0044-03-15 BC"),
    ("some_day", "5874897-12-31"),
    ("some_time", "24:00:00"),
    ("money", "NaN"),
    ("exact_number", "NaN"),
]
NAMES = {
    "some_moment": "timestamp",
    "some_day": "date",
    "some_time": "time",
    "money": "number",
    "exact_number": "number",
}


@pytest.fixture
async def pipeline(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    """A pipeline whose source has one box and nothing else."""
    source_dsn = database()
    async with connect("The source", source_dsn) as connection:
        await create_source(connection, MODEL)
        await insert(connection, BOX, (FIRST_BOX, *ordinary()))
    async with Pipeline(MODEL, data_plane, source_dsn, database()) as opened:
        yield opened


@pytest.fixture
async def source(pipeline: Pipeline) -> AsyncIterator[Connection]:
    async with connect("The source", pipeline.source_dsn) as connection:
        yield connection


@pytest.fixture
def keys() -> Iterator[int]:
    return count(FIRST_BOX + 1)


def ordinary(**special: str) -> Row:
    """Values of a row with nothing unusual, but for what is `special`, given as Postgres reads it."""
    return tuple(special.get(column.name, ORDINARY[column.name.removesuffix("_or_null")]) for column in VALUES)


async def insert(connection: Connection, table: SourceTable, *rows: Row) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(table.columns) + 1))
    query = f"INSERT INTO {ident(table.name)} ({column_list(table.column_names)}) VALUES ({places})"
    await connection.executemany(query, rows)


async def insert_impossible(connection: Connection, key: int, column: str, text: str) -> None:
    """A thing as usual, but for one value that the driver cannot hold either."""
    await insert(connection, THING, (key, FIRST_BOX, *ordinary()))
    await connection.execute(f"UPDATE thing SET {ident(column)} = '{text}' WHERE thing_id = $1", key)


async def values(connection: Connection, relation: str, key: str, keys: list[int]) -> list[Row]:
    """The declared values of the rows, as the driver reads them."""
    names = column_list(column.name for column in VALUES)
    query = f"SELECT {ident(key)}, {names} FROM {relation} WHERE {ident(key)} = ANY ($1) ORDER BY 1"
    return [tuple(row) for row in await connection.fetch(query, keys)]


@examples(10)
@given(rows=st.lists(ROWS, min_size=1, max_size=8))
async def test_every_value_arrives_as_it_is(
    pipeline: Pipeline, source: Connection, keys: Iterator[int], rows: list[Row]
) -> None:
    await source.execute("TRUNCATE thing, box")
    numbered = [(next(keys), *row) for row in rows]
    await insert(source, BOX, *numbered)
    await insert(source, THING, *((key, key, *row) for key, *row in numbered))
    await pipeline.tick()
    wanted = [row[0] for row in numbered]
    async with connect("The warehouse", pipeline.warehouse_dsn) as warehouse:
        for key, relation, table in (("box_id", "dim_box", "box"), ("thing_id", "fact_thing", "thing")):
            expected = await values(source, table, key, wanted)
            assert len(expected) == len(rows)
            assert await values(warehouse, f"warehouse.{relation}", key, wanted) == expected


# Around zero, where a sign or a digit is lost most easily, and on both sides of each power of ten.
CENTS = [Decimal(cents).scaleb(-2) for cents in range(-150, 151)]
EDGES = [
    *CENTS,
    *(sign * (10**digits + off * Decimal("0.01")) for digits in range(1, 8) for off in (-1, 0, 1) for sign in (-1, 1)),
]
ZEROS = [Decimal(sign * digits).scaleb(-9) for digits in (1, 9, 10, 99, 10**8, 10**9 - 1, 10**9) for sign in (-1, 1)]


async def test_every_small_amount_arrives_exactly(pipeline: Pipeline, source: Connection) -> None:
    amounts = [(amount, exact) for amount, exact in zip_longest(EDGES, ZEROS, fillvalue=Decimal(0))]
    names = [column.name for column in VALUES]
    rows = []
    for key, (amount, exact) in enumerate(amounts, FIRST_BOX + 1):
        row = list(ordinary())
        for name in ("money", "money_or_null"):
            row[names.index(name)] = amount
        for name in ("exact_number", "exact_number_or_null"):
            row[names.index(name)] = exact
        rows.append((key, FIRST_BOX, *row))
    await insert(source, THING, *rows)
    await pipeline.tick()
    async with connect("The warehouse", pipeline.warehouse_dsn) as warehouse:
        found = await values(warehouse, "warehouse.fact_thing", "thing_id", [row[0] for row in rows])
    assert found == [(row[0], *row[2:]) for row in rows]


@examples(5)
@given(rows=st.lists(ROWS, min_size=1, max_size=4), fault=st.sampled_from(IMPOSSIBLE))
async def test_every_value_arrives_beside_one_that_cannot(
    pipeline: Pipeline, source: Connection, keys: Iterator[int], rows: list[Row], fault: tuple[str, str]
) -> None:
    things = [(next(keys), FIRST_BOX, *row) for row in rows]
    await insert(source, THING, *things)
    await insert_impossible(source, next(keys), *fault)
    await pipeline.tick()
    wanted = [thing[0] for thing in things]
    async with connect("The warehouse", pipeline.warehouse_dsn) as warehouse:
        expected = await values(source, "thing", "thing_id", wanted)
        assert await values(warehouse, "warehouse.fact_thing", "thing_id", wanted) == expected


@pytest.mark.parametrize("suffix", ["", "_or_null"])
async def test_a_value_that_nothing_can_hold_is_quarantined_as_the_source_prints_it(
    pipeline: Pipeline, source: Connection, suffix: str
) -> None:
    wanted = {}
    for key, (name, text) in enumerate(IMPOSSIBLE):
        await insert_impossible(source, key, name + suffix, text)
        wanted[str(key)] = [f'{name + suffix} is not a valid {NAMES[name]}: "{text}"'], text
    ordinary_key = len(IMPOSSIBLE)
    await insert(source, THING, (ordinary_key, FIRST_BOX, *ordinary()))
    await pipeline.tick()
    found = {row["thing_id"]: row for row in await pipeline.quarantine("fact_thing")}
    columns = {str(key): name + suffix for key, (name, _) in enumerate(IMPOSSIBLE)}
    assert {key: (row["reasons"], row[columns[key]]) for key, row in found.items()} == wanted
    assert all(row["free_text"] == ORDINARY["free_text"] and row["is_it"] == "t" for row in found.values())
    assert [row[0] for row in await pipeline.rows("SELECT thing_id FROM warehouse.fact_thing")] == [ordinary_key]


async def test_a_row_longer_than_any_buffer_arrives(pipeline: Pipeline, source: Connection) -> None:
    text = 'a "long", \n story\n' * 600_000
    row = ordinary(free_text=text)
    await insert(source, THING, (1, FIRST_BOX, *row), (2, FIRST_BOX, *ordinary()), (3, FIRST_BOX, *row))
    await pipeline.tick()
    async with connect("The warehouse", pipeline.warehouse_dsn) as warehouse:
        found = await values(warehouse, "warehouse.fact_thing", "thing_id", [1, 2, 3])
    assert found == [(1, *row), (2, *ordinary()), (3, *row)]

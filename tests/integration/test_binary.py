"""What load encodes is what Postgres reads: every type, every value, NULL, any slice of a batch."""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models.values import TYPES
from totesys.arrow import arrow_type
from totesys.connection import Connection, connect
from totesys.sql import ident
from totesys.types import ColumnType, Kind, numeric
from totesys_load.binary import BLOCK_ROWS
from totesys_load.parquet_copy import TEMPORARY, copy_rows

pytestmark = pytest.mark.postgres

DECLARED = {
    **{name: kind for name, kind in TYPES.items() if not kind.values},
    **{f"numeric_{p}_{s}": numeric(p, s) for p, s in ((1, 0), (4, 4), (18, 0), (18, 3), (19, 1), (38, 0), (38, 38))},
}
TABLE = "encoded"
MILLISECOND = 1000


def values(declared: ColumnType) -> st.SearchStrategy[Any]:
    """Whatever a column of the type can hold."""
    whole, after = declared.digits
    return {
        Kind.INT32: st.integers(-(2**31), 2**31 - 1),
        Kind.INT64: st.integers(-(2**63), 2**63 - 1),
        Kind.BOOLEAN: st.booleans(),
        Kind.TEXT: st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10),
        Kind.DATE: st.dates(),
        Kind.TIME: st.times().map(_to_milliseconds),
        Kind.TIMESTAMP: st.datetimes().map(_to_milliseconds),
        Kind.DECIMAL: st.integers(1 - 10**whole, 10**whole - 1).map(lambda unscaled: _decimal(unscaled, after)),
    }[declared.kind]


def _to_milliseconds(moment: Any) -> Any:
    return moment.replace(microsecond=moment.microsecond // MILLISECOND * MILLISECOND)


def _decimal(unscaled: int, after: int) -> Decimal:
    return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -after))


async def read_back(connection: Connection, columns: dict[str, ColumnType], rows: pa.Table) -> list[tuple[Any, ...]]:
    """The rows, through a table of Postgres'."""
    made = ", ".join(f"{ident(name)} {columns[name].postgres}" for name in rows.column_names)
    await connection.execute(f"CREATE TEMPORARY TABLE {TABLE} ({made}, number serial)")
    await copy_rows(connection, TEMPORARY, TABLE, rows)
    selected = ", ".join(map(ident, rows.column_names))
    found = await connection.fetch(f"SELECT {selected} FROM {TABLE} ORDER BY number")
    await connection.execute(f"DROP TABLE {TABLE}")
    return [tuple(row) for row in found]


@pytest.fixture
async def connection(database: Callable[[], str]) -> Any:
    async with connect("The database", database()) as connected:
        yield connected


@examples(100)
@given(data=st.data())
async def test_every_value_arrives_as_it_was(connection: Connection, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(DECLARED)), min_size=1, max_size=6, unique=True))
    columns = {name: DECLARED[name] for name in names}
    nullable = data.draw(st.booleans())
    size = data.draw(st.integers(0, 12))
    arrays = []
    for declared in columns.values():
        value = values(declared)
        drawn = data.draw(st.lists(value | st.none() if nullable else value, min_size=size, max_size=size))
        arrays.append(pa.array(drawn, arrow_type(declared)))
    start = data.draw(st.integers(0, size))
    rows = pa.table(arrays, names=names).slice(start)
    expected = [tuple(row.values()) for row in rows.to_pylist()]
    assert await read_back(connection, columns, rows) == expected


@pytest.mark.parametrize("with_text", [False, True])
async def test_more_rows_than_a_block_arrive_in_order(connection: Connection, with_text: bool) -> None:
    rows = pa.table({"small_number": pa.array(range(3 * BLOCK_ROWS + 1), pa.int32())})
    if with_text:
        rows = rows.append_column("free_text", rows.column(0).cast(pa.string()))
    found = await read_back(connection, DECLARED, rows)
    assert found == [tuple(row.values()) for row in rows.to_pylist()]


async def test_the_ends_of_the_calendar_arrive(connection: Connection) -> None:
    rows = pa.table(
        {
            "some_day": pa.array([date.min, date(1999, 12, 31), date(2000, 1, 1), date.max], pa.date32()),
            "some_time": pa.array([time.min, time(0, 0, 0, 1000), time(12), time(23, 59, 59, 999000)], pa.time32("ms")),
            "some_moment": pa.array(
                [*map(datetime.fromisoformat, ("0001-01-01", "1999-12-31", "2000-01-01", "9999-12-31"))],
                pa.timestamp("ms"),
            ),
        }
    )
    assert await read_back(connection, DECLARED, rows) == [tuple(row.values()) for row in rows.to_pylist()]

"""Transform and verification agree on each value of Postgres whether lake and warehouse can hold it."""

import io
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.connection import Connection, connect
from totesys.representable import ROW_BYTES, too_long, unrepresentable
from totesys.sql import column_list
from totesys.table import Column, SourceTable
from totesys.types import DATE, INTEGER, TEXT, TIME, TIMESTAMP, numeric
from totesys_transform.csv_reader import ROW, read_csv

TABLE = SourceTable(
    "one",
    key="id",
    columns=(
        Column("id", INTEGER),
        Column("day", DATE, nullable=True),
        Column("moment", TIMESTAMP, nullable=True),
        Column("time", TIME, nullable=True),
        Column("amount", numeric(10, 2), nullable=True),
        Column("text", TEXT, nullable=True),
    ),
)
# Days before and after 1970, milliseconds of them and of a day: all that Postgres has.
DAYS = st.integers(-2440588 + 1, 2145042541) | st.integers(-719600, -719100) | st.integers(2932500, 2933000)
MOMENTS = st.integers(-210866803200000 + 86400000, 9223371331200000 - 1)
EDGES = st.sampled_from([-62135596800000, 253402300800000]).flatmap(lambda edge: st.integers(edge - 2, edge + 2))
ENDLESS = st.sampled_from(["infinity", "-infinity"])
VALUES = st.tuples(
    st.one_of(st.none(), ENDLESS, DAYS.map(lambda day: f"epoch {day}")),
    st.one_of(st.none(), ENDLESS, (MOMENTS | EDGES).map(lambda moment: f"epoch {moment}")),
    st.one_of(st.none(), st.sampled_from(["24:00", "23:59:59.999", "00:00"])),
    st.one_of(st.none(), st.just("NaN"), st.decimals(-(10**8) + 1, 10**8 - 1, places=2).map(str)),
    st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)


@pytest.fixture
async def session(database: Callable[[], str]) -> AsyncIterator[Connection]:
    async with connect("The source", database()) as connection:
        columns = ", ".join(f"{column.name} {column.type.postgres}" for column in TABLE.columns)
        await connection.execute(f"CREATE TABLE one ({columns})")
        yield connection


@pytest.mark.parametrize("bytes_", [ROW_BYTES, ROW_BYTES + 1])
async def test_reading_and_sql_agree_on_which_row_is_too_long(session: Connection, bytes_: int) -> None:
    await session.execute("TRUNCATE one")
    text = f"repeat('é', {bytes_ // 2}) || repeat('x', {bytes_ % 2})"
    await session.execute(f"INSERT INTO one (id, text) SELECT 1, {text}")
    csv = b"id,day,moment,time,amount,text\n1,,,,," + "é".encode() * (bytes_ // 2) + b"x" * (bytes_ % 2) + b"\n"
    sql = await session.fetchval(f"SELECT {too_long(TABLE.columns, 'one')} FROM one")
    assert (sql, read_csv(csv, TABLE).faults.height) == (bytes_ > ROW_BYTES, int(sql))


@examples(40)
@given(rows=st.lists(VALUES, min_size=1, max_size=40))
async def test_reading_and_sql_agree_on_which_values_can_be_held(
    session: Connection, rows: list[tuple[str | None, ...]]
) -> None:
    await session.execute("TRUNCATE one")
    await session.executemany(
        """INSERT INTO one SELECT $1,
           CASE WHEN $2 LIKE 'epoch %' THEN date '1970-01-01' + substr($2, 7)::int ELSE $2::date END,
           CASE WHEN $3 LIKE 'epoch %'
                THEN timestamp '1970-01-01' + make_interval(days => (substr($3, 7)::bigint / 86400000)::int,
                                                            secs => substr($3, 7)::bigint % 86400000 / 1000.0)
                ELSE $3::timestamp END, $4::text::time, $5::text::numeric, $6""",
        [(key, *row) for key, row in enumerate(rows)],
    )
    csv = io.BytesIO()
    await session.copy_from_query(
        f"SELECT {column_list(TABLE.column_names)} FROM one ORDER BY id", output=csv, format="csv", header=True
    )
    tests = [test for column in TABLE.columns if (test := unrepresentable(column, "one"))]
    faulty = await session.fetch(f"SELECT id FROM one WHERE {' OR '.join(tests)} ORDER BY id")
    read = read_csv(csv.getvalue(), TABLE)
    assert read.frame["id"].to_list() == list(range(len(rows)))
    assert read.frame["text"].to_list() == [row[-1] for row in rows]
    assert read.faults[ROW].to_list() == [row["id"] for row in faulty]
    assert await session.fetchval(f"SELECT count(*) FROM one WHERE {too_long(TABLE.columns, 'one')}") == 0

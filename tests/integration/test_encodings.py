"""Databases of any encoding: what is read rightly, what waits in quarantine, and what is refused at the start."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.models.library import MODEL
from tests.pipeline import Pipeline
from tests.sources import execute, make_library, rows, verified
from totesys.connection import connect, redacted
from totesys.encodings import valid_utf8
from totesys.errors import WarehouseMismatch
from totesys.model import MODEL as COMPANY
from totesys.verify import verify
from totesys_cli.doctor.database_checks import check_warehouse as doctor_of_warehouse
from totesys_cli.doctor.finding import FindingLevel
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.preflight import check_warehouse
from totesys_cli.source_database import create_source

Encoded = Callable[[str], AbstractAsyncContextManager[str]]


@pytest.fixture
def encoded(postgres: ReachablePostgres) -> Encoded:
    """Makes an empty database of an encoding, whose DSN it gives, and drops it."""

    @asynccontextmanager
    async def create(encoding: str) -> AsyncIterator[str]:
        name = f"encoded_{encoding.lower()}"
        await execute(postgres.dsn(), f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
        try:
            yield postgres.dsn(name)
        finally:
            await execute(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)")

    return create


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
async def test_a_warehouse_that_cannot_hold_every_text_is_refused_before_anything_is_written(
    encoding: str, encoded: Encoded, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    async with encoded(encoding) as warehouse:
        said = (
            f"The warehouse at {redacted(warehouse)} has the encoding {encoding}, which cannot hold every text. "
            "Nothing was written. Use a database created with ENCODING 'UTF8'."
        )
        async with Pipeline(MODEL, data_plane, await make_library(database()), warehouse) as pipeline:
            refusals: list[Callable[[], Awaitable[object]]] = [
                pipeline.tick,
                lambda: check_warehouse(MODEL, warehouse, "warehouse"),
            ]
            for refused in refusals:
                with pytest.raises(WarehouseMismatch) as raised:
                    await refused()
                assert str(raised.value) == said
        found = {one.check: one for one in await doctor_of_warehouse(MODEL, warehouse, "warehouse")}
        assert found["warehouse tables"].level == FindingLevel.FAIL
        assert f"{found['warehouse tables'].sentence} {found['warehouse tables'].remedy}" == said
        assert not await rows(warehouse, "SELECT FROM pg_namespace WHERE nspname IN ('etl', 'warehouse', 'lending')")


async def test_a_byte_that_is_not_utf8_quarantines_its_row_and_stops_nothing_else(
    encoded: Encoded, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    async with encoded("SQL_ASCII") as source:
        await make_library(source)
        async with Pipeline(MODEL, data_plane, source, database()) as pipeline:
            await execute(
                source,
                r"INSERT INTO loan VALUES (3, 1, E'Zo\xeb, \n\"x\"', '2026-03-02 10:00', 1, true)",
                "INSERT INTO loan VALUES (4, 1, 'Łucja', '2026-03-02 10:00', 1, true)",
                r"INSERT INTO book VALUES (4, 'Emma', E'\xff', 'NOVEL'), (5, E'O\x80', NULL, 'NOVEL')",
                "INSERT INTO book VALUES (6, 'Żaba', NULL, 'POETRY')",
                # It refers to a book that waits in quarantine.
                "INSERT INTO loan VALUES (5, 4, 'Cid', '2026-03-02 10:00', 1, true)",
            )
            await pipeline.tick()
            assert [(row["loan_id"], row["reasons"]) for row in await pipeline.quarantine("fact_loan")] == [
                ("3", ['reader is not UTF-8: "Zo\\xeb, \n"x""']),
                ("5", ["book_id is not in dim_book"]),
            ]
            assert [(row["book_id"], row["reasons"]) for row in await pipeline.quarantine("dim_book")] == [
                ("4", ['shelf is not UTF-8: "\\xff"']),
                ("5", ['title is not UTF-8: "O\\x80"']),
            ]
            found = await verify(source, pipeline.warehouse_dsn, MODEL)
            assert found.is_equal
            assert {table.table: {row.key for row in table.apart} for table in found} == {
                "fact_loan": {"3", "5"},
                "dim_book": {"4", "5"},
            }
            await execute(
                source,
                "UPDATE loan SET reader = 'Zoë' WHERE loan_id = 3",
                "UPDATE book SET shelf = 'Ä' WHERE book_id = 4",
                "UPDATE book SET title = 'Où' WHERE book_id = 5",
                r"UPDATE loan SET reader = E'\xfe' WHERE loan_id = 1",
            )
            await pipeline.tick()
            found = await verify(source, pipeline.warehouse_dsn, MODEL)
            assert found.is_equal
            assert {table.table: {row.key for row in table.apart} for table in found} == {
                "fact_loan": {"1"},
                "dim_book": set(),
            }
            readers = "SELECT loan_id, reader FROM warehouse.fact_loan_current ORDER BY 1"
            assert await rows(pipeline.warehouse_dsn, readers) == [
                (1, "Ada"),
                (2, "Bob"),
                (3, "Zoë"),
                (4, "Łucja"),
                (5, "Cid"),
            ]


async def test_what_is_utf8_is_judged_in_the_database_as_it_is_when_it_is_read(encoded: Encoded) -> None:
    async with encoded("SQL_ASCII") as dsn, connect("The source", dsn) as connection:
        query = await connection.prepare(
            f"SELECT {valid_utf8('text')} FROM unnest($1::bytea[]) WITH ORDINALITY AS b (bytes, place), "
            "LATERAL convert_from(bytes, 'SQL_ASCII') AS text ORDER BY place"
        )
        edges = st.sampled_from([0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC])
        more = st.sampled_from([0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF, 0x0A, 0x41])
        texts = st.one_of(
            st.lists(st.one_of(edges, more, st.integers(1, 255)), max_size=6).map(bytes),
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6).map(str.encode),
        )
        tried: list[bytes] = []

        @settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(texts, min_size=20, max_size=60))
        def collect(texts: list[bytes]) -> None:
            tried.extend(texts)

        collect()
        judged = [row[0] for row in await query.fetch(tried)]
        assert [(text, one) for text, one in zip(tried, judged, strict=True) if one is not is_utf8(text)] == []


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


AT = "'2026-01-05 09:30', '2026-01-05 09:30'"


@pytest.mark.parametrize(
    ("encoding", "city"), [("LATIN1", "Köln"), ("WIN1250", "Łódź"), ("KOI8R", "Санкт"), ("EUC_JP", "札幌市")]
)
async def test_a_source_of_another_encoding_is_read_and_verified_as_it_is(
    encoding: str, city: str, encoded: Encoded, database: Callable[[], str], data_plane: LocalDataPlane
) -> None:
    async with encoded(encoding) as source:
        async with connect("The source", source) as connection:
            await create_source(connection, COMPANY)
        await execute(
            source,
            f"INSERT INTO address VALUES (1, '{city}', NULL, NULL, '{city}', 'x', 'x', '1', {AT})",
            f"INSERT INTO counterparty VALUES (1, '{city} Ltd', 1, NULL, NULL, {AT})",
            # Their names have letters that not all of these encodings have.
            *(f"INSERT INTO currency VALUES ({n}, '{code}', {AT})" for n, code in enumerate(("PLN", "TOP", "VES"), 1)),
            f"INSERT INTO department VALUES (1, '{city}', NULL, NULL, {AT})",
            f"INSERT INTO staff VALUES (1, '{city}', 'x', 1, 'x', {AT})",
        )
        async with Pipeline(COMPANY, data_plane, source, database()) as pipeline:
            await pipeline.tick()
            assert await verified(source, pipeline.warehouse_dsn, COMPANY)
            assert await rows(pipeline.warehouse_dsn, "SELECT city FROM warehouse.dim_location") == [(city,)]
            await execute(source, f"UPDATE address SET city = '{city * 2}', last_updated = now()")
            await pipeline.tick()
            assert await verified(source, pipeline.warehouse_dsn, COMPANY)
            await execute(
                pipeline.warehouse_dsn,
                "UPDATE warehouse.dim_currency SET currency_name = currency_name || 'Ł' WHERE currency_id = 2",
                "UPDATE warehouse.dim_location SET city = 'ß' || city",
            )
            found = {table.table: table for table in await verify(source, pipeline.warehouse_dsn, COMPANY)}
            assert [row.key for row in found["dim_currency"].wrong] == ["2"]
            assert found["dim_currency"].samples[0].found == f"{found['dim_currency'].samples[0].expected}Ł"
            assert [(row.key, row.columns) for row in found["dim_location"].wrong] == [("1", ("city",))]
            assert found["dim_staff"].is_equal

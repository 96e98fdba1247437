"""Agreed dates that are none, names that are missing: what the company's rows become in the warehouse."""

from collections.abc import AsyncIterator, Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.pipeline import Pipeline
from tests.sources import make_company, rows, verified
from totesys.connection import Connection, connect
from totesys.model import MODEL
from totesys.model.expressions import iso_date, iso_date_query
from totesys_cli.local.local_data_plane import LocalDataPlane

BAD_DATES = ["2022-13-45", "", "2022-1-5", "+2022-1-03", "0000-01-01", "2022-02-29", "٢٠٢٢-٠١-٠٣"]
BAD_DATES += [" 2022-01-03", "2022-01-03\n"]
# Postgres holds every character but NUL.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=12)
NEARLY_DATES = st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", fullmatch=True) | st.from_regex(
    r".?\d{1,4}[-/]\d{1,2}[-/]\d{1,2}\s?", fullmatch=True, alphabet=CHARACTERS
)


@pytest.fixture
async def postgres_session(database: Callable[[], str]) -> AsyncIterator[Connection]:
    async with connect("The source", database()) as connection:
        yield connection


@pytest.fixture
async def company(database: Callable[[], str], data_plane: LocalDataPlane) -> AsyncIterator[Pipeline]:
    source = await make_company(database())
    async with Pipeline(MODEL, data_plane, source, database()) as opened:
        yield opened


@examples(200)
@given(texts=st.lists(NEARLY_DATES | TEXTS | st.sampled_from(BAD_DATES), min_size=1, max_size=30))
async def test_the_build_and_the_oracle_agree_on_what_a_date_is(postgres_session: Connection, texts: list[str]) -> None:
    query = f"SELECT {iso_date_query('day')} FROM unnest($1::text[]) WITH ORDINALITY AS t (day, place) ORDER BY place"
    expected = [row[0] for row in await postgres_session.fetch(query, texts)]
    found = pl.DataFrame({"day": pl.Series(texts, dtype=pl.String)}).select(iso_date("day"))["day"].to_list()
    assert found == expected


async def test_an_order_whose_agreed_date_is_none_is_quarantined_as_it_was_and_comes_when_it_is_mended(
    company: Pipeline,
) -> None:
    async with connect("The source", company.source_dsn) as source:
        orders = [row[0] for row in await source.fetch("SELECT sales_order_id FROM sales_order ORDER BY 1")]
        wrong = dict(zip(map(str, orders), BAD_DATES, strict=False))
        await set_dates(source, list(wrong.values()), orders)
        await company.tick()
        found = await company.quarantine("fact_sales_order")
        assert {row["sales_order_id"]: row["agreed_delivery_date"] for row in found} == wrong
        told = {row["sales_order_id"]: row["reasons"] for row in found}
        assert told == {key: [f'agreed_delivery_date is not a valid date: "{text}"'] for key, text in wrong.items()}
        loaded = await rows(company.warehouse_dsn, "SELECT sales_order_id FROM warehouse.fact_sales_order")
        assert sorted(row[0] for row in loaded) == orders[len(wrong) :]
        assert await verified(company.source_dsn, company.warehouse_dsn, MODEL)
        await set_dates(source, ["2031-02-28"] * len(wrong), orders)
        await company.tick()
    loaded = await rows(company.warehouse_dsn, "SELECT sales_order_id FROM warehouse.fact_sales_order")
    assert sorted(row[0] for row in loaded) == orders
    assert await rows(
        company.warehouse_dsn, "SELECT day_name FROM warehouse.dim_date WHERE date_id = '2031-02-28'"
    ) == [("Friday",)]
    assert await verified(company.source_dsn, company.warehouse_dsn, MODEL)


async def set_dates(source: Connection, texts: list[str], orders: list[int]) -> None:
    pairs = list(zip(texts, orders, strict=False))
    assert len(pairs) == len(texts)
    await source.executemany("UPDATE sales_order SET agreed_delivery_date = $1 WHERE sales_order_id = $2", pairs)


async def test_what_has_no_name_is_unknown(company: Pipeline) -> None:
    async with connect("The source", company.source_dsn) as source:
        await source.execute("UPDATE department SET location = NULL")
        await source.execute("INSERT INTO currency VALUES (999, 'QQQ', now(), now())")
    await company.tick()
    assert await rows(company.warehouse_dsn, "SELECT DISTINCT location FROM warehouse.dim_staff") == [("Unknown",)]
    unnamed = "SELECT currency_code, currency_name FROM warehouse.dim_currency WHERE currency_id = 999"
    assert await rows(company.warehouse_dsn, unnamed) == [("QQQ", "Unknown")]
    assert await verified(company.source_dsn, company.warehouse_dsn, MODEL)

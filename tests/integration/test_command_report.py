"""`totesys report`: what it says is what other SQL says of the source, and its page is safe whatever the data says."""

import re
import sys
from collections.abc import AsyncIterator, Callable
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.command import Command, Companies, Company, rows
from tests.pipeline import Pipeline
from tests.sources import execute, value
from totesys.connection import connect
from totesys.model import MODEL
from totesys_cli.command_errors import UsageError
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.report.charts import RankChart, charts
from totesys_cli.report.report_answers import Answer, ReportContent, Value, answer_report
from totesys_cli.report.report_command import run_report
from totesys_cli.report.report_page import to_html
from totesys_cli.source_database import create_source
from totesys_cli.terminal import Output
from totesys_infra import data_plane_template

NAME = "test-report"
HOSTILE = "<script>alert(1)</script> $x_$ \"'&amp;\x1b[31m\u202e\n]]>"
UNPAID = "SELECT * FROM payment WHERE NOT paid"

# The same questions, of the source and by other means. $1 is the day of the report.
EXPECTED = {
    "sales_by_month": """
        SELECT date_trunc('month', s.created_at)::date, c.currency_code, count(*), sum(units_sold),
               sum(units_sold * unit_price)
        FROM sales_order s, currency c WHERE c.currency_id = s.currency_id GROUP BY 1, 2 ORDER BY 1, 2""",
    "top_designs": """
        SELECT design_id, (SELECT design_name FROM design d WHERE d.design_id = s.design_id), count(*), sum(units_sold)
        FROM sales_order s GROUP BY design_id ORDER BY sum(units_sold) DESC, design_id FETCH FIRST 10 ROWS ONLY""",
    "due_and_overdue": """
        SELECT currency_code, replace(lower(payment_type_name::text), '_', ' '),
               sum((payment_date::date < $1)::int),
               sum(CASE WHEN payment_date::date < $1 THEN payment_amount ELSE 0 END),
               sum((payment_date::date >= $1)::int),
               sum(CASE WHEN payment_date::date >= $1 THEN payment_amount ELSE 0 END)
        FROM payment NATURAL JOIN (SELECT currency_id, currency_code FROM currency) AS c
        NATURAL JOIN (SELECT payment_type_id, payment_type_name FROM payment_type) AS t
        WHERE NOT paid GROUP BY 1, 2 ORDER BY 1, 2""",
    "unpaid_by_month": """
        SELECT date_trunc('month', payment_date::date)::date,
               (SELECT currency_code FROM currency c WHERE c.currency_id = p.currency_id),
               sum(CASE WHEN payment_type_name::text IN ('SALES_RECEIPT', 'PURCHASE_REFUND') THEN payment_amount
                   ELSE 0 END),
               sum(CASE WHEN payment_type_name::text IN ('SALES_RECEIPT', 'PURCHASE_REFUND') THEN 0
                   ELSE payment_amount END)
        FROM payment p JOIN payment_type t ON t.payment_type_id = p.payment_type_id
        WHERE NOT paid GROUP BY 1, 2 ORDER BY 1, 2""",
}


@pytest.fixture(scope="module")
async def company(postgres: ReachablePostgres) -> Company:
    return await (await Companies.of(postgres, scale=0.02)).make()


@pytest.fixture(scope="module")
async def pipeline(emulator: Emulator, company: Company) -> AsyncIterator[Pipeline]:
    """A warehouse in which rows have several versions, some are deleted, and names are hostile."""
    plane = emulator.apply(data_plane_template(), NAME)
    async with Pipeline(MODEL, plane, company.source, company.warehouse) as opened:
        await opened.tick()
        await execute(
            company.source_owner,
            "UPDATE sales_order SET units_sold = units_sold * 2 WHERE sales_order_id % 3 = 0",
            "UPDATE payment SET paid = NOT paid WHERE payment_id % 5 = 0",
            "DELETE FROM payment WHERE payment_id % 17 = 0",
        )
        hostile = "UPDATE {} SET {} = $1 RETURNING 1"
        await value(company.source_owner, hostile.format("design", "design_name"), HOSTILE)
        await value(company.source_owner, hostile.format("counterparty", "counterparty_legal_name"), HOSTILE)
        await opened.tick("sweep")
        yield opened


@pytest.fixture(scope="module")
async def day(company: Company) -> date:
    """A day with payments that are due and others that are overdue."""
    middle = "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY payment_date::date) FROM payment WHERE NOT paid"
    found: date = await value(company.source_owner, middle)
    return found


@pytest.fixture(scope="module")
async def content(pipeline: Pipeline, day: date) -> ReportContent:
    return await answer_report(pipeline.warehouse_dsn, "totesys.model", day)


@pytest.fixture(scope="module")
def answer(content: ReportContent) -> Callable[[str], Answer]:
    answers = {answer.question.name: answer for chapter in content.chapters for answer in chapter.answers}
    return answers.__getitem__


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_figure_is_what_other_sql_says_of_the_source(
    name: str, company: Company, answer: Callable[[str], Answer], day: date
) -> None:
    query = EXPECTED[name]
    expected = await rows(company.source_owner, query, *([day] if "$1" in query else []))
    assert len(expected) > 2
    assert answer(name).rows == tuple(map(tuple, expected))


async def test_counterparties_and_payments_are_the_right_ones_in_the_right_order(
    company: Company, answer: Callable[[str], Answer], day: date
) -> None:
    found = await rows(company.source_owner, "SELECT currency_id, currency_code FROM currency")
    currencies = {row["currency_id"]: row["currency_code"] for row in found}
    bought: dict[tuple[str, int], Any] = {}
    for row in await rows(company.source_owner, "SELECT * FROM purchase_order"):
        key = (currencies[row["currency_id"]], row["counterparty_id"])
        bought[key] = bought.get(key, 0) + row["item_quantity"] * row["item_unit_price"]
    expected = [
        (currency, place, key[1], amount)
        for currency in sorted(set(currencies.values()))
        for place, (key, amount) in enumerate(
            sorted(((k, v) for k, v in bought.items() if k[0] == currency), key=lambda one: (-one[1], one[0][1]))[:10],
            1,
        )
    ]
    assert [(row[0], row[1], row[2], row[5]) for row in answer("top_suppliers").rows] == expected
    unpaid = await rows(company.source_owner, UNPAID)
    days = sorted((date.fromisoformat(row["payment_date"]), row["payment_id"], row["payment_amount"]) for row in unpaid)
    due, overdue = [one for one in days if one[0] >= day], [one for one in days if one[0] < day]
    assert len(due) > 5 < len(overdue)
    assert [(row[0], row[5], row[4]) for row in answer("next_due").rows] == due[:5]
    assert [(row[0], row[5], row[4]) for row in answer("last_overdue").rows] == overdue[::-1][:5]


def amounts(answer: Answer, currency: Value) -> list[Decimal]:
    """The amounts of one currency."""
    found = [row[answer.columns.index("amount")] for row in answer.rows if currency in row]
    return [amount for amount in found if isinstance(amount, Decimal)]


async def test_the_cards_are_the_sums_of_the_other_figures(
    answer: Callable[[str], Answer],
) -> None:
    months, unpaid = answer("sales_by_month"), answer("due_and_overdue")
    for card in answer("by_currency").rows:
        named = dict(zip(answer("by_currency").columns, card, strict=True))
        assert named["sales"] == sum(amounts(months, card[0]))
        overdue = {row[1]: row[3] for row in unpaid.rows if row[0] == card[0]}
        assert named["overdue_to_us"] == overdue.get("sales receipt", 0)


async def test_quality_counts_versions_deletions_and_what_is_set_apart(
    pipeline: Pipeline, answer: Callable[[str], Answer]
) -> None:
    total = "SELECT count(*) AS versions, count(DISTINCT payment_id) AS ids FROM warehouse.fact_payment"
    ((versions, ids),) = await pipeline.rows(total)
    current = await value(pipeline.source_dsn, "SELECT count(*) FROM payment")
    assert versions > ids > current
    by_fact = {row[0]: row for row in answer("quality").rows}
    assert by_fact["fact_payment"] == ("fact_payment", current, versions, ids - current, 0, 0)
    assert by_fact.keys() == {fact.name for fact in MODEL.facts}


class Page(HTMLParser):
    """What a browser would find of elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_stands_alone_and_hostile_text_is_only_text(content: ReportContent) -> None:
    html = to_html(content)
    page = Page(html)
    assert "<script" not in html
    assert "<script>alert(1)</script> $x_$ \"'&amp;\ufffd[31m" in page.text
    assert "\x1b" not in html
    assert not [one for one in page.elements if any(name.startswith("on") or name == "style" for name in one[1])]
    assert "default-src 'none'; style-src 'sha256-" in str(page.all("meta"))
    links = [one.get("href") or "" for _, one in page.elements if "href" in one]
    assert all(link.startswith("#") for link in links)
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)


def variants(content: ReportContent) -> list[Answer]:
    """Every answer of the page, for each period."""
    return [one for chapter in content.chapters for answer in chapter.answers for one in content.variants(answer)]


def test_each_chart_has_words_a_table_behind_it_and_no_script(content: ReportContent) -> None:
    html = to_html(content)
    page = Page(html)
    drawn = [chart for answer in variants(content) for chart in charts(answer)]
    texts = [one["aria-label"] for one in page.all("div") if one.get("role") == "img"]
    assert texts == [chart.text for chart in drawn]
    assert len(texts) > 3 + 1 + 3 + 3
    assert all((text or "").endswith("The table below has all numbers.") for text in texts)
    assert len(page.all("svg")) == sum(len(one.ranks) if isinstance(one, RankChart) else 1 for one in drawn)
    assert not page.all("img")
    assert len(re.findall("<summary>The SQL</summary>", html)) == len(variants(content))
    assert len(page.all("th")) == sum(one.get("scope") == "col" for one in page.all("th"))


@pytest.mark.parametrize("name", ["sales_by_month", "unpaid_by_month"])
async def test_the_answers_of_the_years_are_those_of_all_time_divided(name: str, content: ReportContent) -> None:
    all_time = next(answer for answer in variants(content) if answer.question.name == name)
    for period, answers in content.by_period:
        of_year = tuple(row for row in all_time.rows if str(row[0]).startswith(period.title))
        assert answers[name].rows == of_year
    months = next(answer for answer in variants(content) if answer.question.name == "sales_by_month").column("month")
    assert [period.title for period, _ in content.by_period] == sorted({str(one)[:4] for one in months}, reverse=True)


async def test_designs_and_suppliers_of_a_year_are_ranked_by_that_year(
    company: Company, content: ReportContent
) -> None:
    for period, answers in content.by_period:
        of_year = f"created_at >= '{period.first}' AND created_at < '{period.end}'"
        units = await rows(
            company.source_owner,
            f"SELECT sum(units_sold) FROM sales_order WHERE {of_year} GROUP BY design_id ORDER BY 1 DESC LIMIT 10",
        )
        assert [row[3] for row in answers["top_designs"].rows] == [row[0] for row in units]
        spent = f"""SELECT currency_code, max(amount) FROM (
            SELECT currency_id, counterparty_id, sum(item_quantity * item_unit_price) AS amount
            FROM purchase_order WHERE {of_year} GROUP BY 1, 2) AS sums NATURAL JOIN currency GROUP BY 1 ORDER BY 1"""
        first = [(row[0], row[5]) for row in answers["top_suppliers"].rows if row[1] == 1]
        assert first == [tuple(row) for row in await rows(company.source_owner, spent)]


async def test_the_command_writes_the_page_and_the_sql_that_it_shows_can_be_asked(
    pipeline: Pipeline, content: ReportContent, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    ended = Command(tmp_path)("report", "--warehouse", pipeline.warehouse_dsn, "--output", str(file))
    assert (ended.code, "as of run 2" in ended.out) == (0, True), ended.words
    assert Page(file.read_text()).text.count("The SQL") == len(variants(content))
    for answer in variants(content):
        assert tuple(map(tuple, await pipeline.rows(answer.sql))) == answer.rows


async def test_what_cannot_be_reported_is_said(
    company: Company, pipeline: Pipeline, postgres: ReachablePostgres, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"has no module tests.models.library.report, so there is nothing to report"):
        await answer_report(company.warehouse, "tests.models.library", None)
    with pytest.raises(UsageError, match=r"was not loaded for totesys\.model"):
        await answer_report(postgres.dsn(), "totesys.model", None)
    output = Output(console=Console(quiet=True))
    nowhere = tmp_path / "no" / "report.html"
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        await run_report(output, pipeline.warehouse_dsn, "totesys.model", None, nowhere)
    with pytest.MonkeyPatch.context() as patch:
        # As where it is not installed.
        patch.setitem(sys.modules, "jinja2", None)
        patch.delitem(sys.modules, "totesys_cli.report.report_page")
        with pytest.raises(UsageError, match=r"needs jinja2, which is not installed. Install `totesys-cli\[report\]`"):
            await run_report(output, pipeline.warehouse_dsn, "totesys.model", None, None)


async def test_a_warehouse_without_a_row_has_a_page_too(
    database: Callable[[], str], data_plane: LocalDataPlane, day: date
) -> None:
    source, warehouse = database(), database()
    async with connect("The source", source) as connection:
        await create_source(connection, MODEL)
    async with Pipeline(MODEL, data_plane, source, warehouse) as pipeline:
        await pipeline.tick()
    page = Page(to_html(await answer_report(warehouse, "totesys.model", day)))
    assert page.text.count("None.") == 8
    assert page.all("svg") == []
    assert page.all("input") == []

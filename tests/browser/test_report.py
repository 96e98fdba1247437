"""The page of `totesys report` in Chromium: readable on a phone, filtered by period and currency without scripts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest

from tests.browser.browser import PHONE, SCREEN, Visit
from tests.browser.conftest import Look
from totesys.model.report import REPORT
from totesys.reporting import Question
from totesys_cli.report.report_answers import Answer, AnsweredChapter, Period, ReportContent, Value
from totesys_cli.report.report_page import to_html

YEARS = (2024, 2023, 2022)
CURRENCIES = ("EUR", "GBP", "USD")
SMALLEST_LABEL_PX = 12.0
# The labels of the charts that can be seen, with their sizes and places.
LABELS = """[...document.querySelectorAll('.axis span span, .scale span, .rank .label, .rank .value')]
    .filter(one => one.checkVisibility())
    .map(one => { const range = document.createRange(); range.selectNodeContents(one);
        const box = range.getBoundingClientRect();
        return { text: one.textContent, size: parseFloat(getComputedStyle(one).fontSize),
                 left: box.left, right: box.right, top: box.top, bottom: box.bottom } })"""


def months(years: tuple[int, ...]) -> Iterator[date]:
    return (date(year, month, 1) for year in sorted(years) for month in range(1, 13))


def rows(question: Question, years: tuple[int, ...]) -> tuple[tuple[str, ...], list[tuple[Value, ...]]]:
    """Columns and rows that the question could have; amounts tell the years and currencies apart."""
    amount = Decimal(sum(years))
    match question.name:
        case "sales_by_month":
            return ("month", "currency", "orders", "units", "amount"), [
                (month, currency, 7, 9, amount * month.month) for month in months(years) for currency in CURRENCIES
            ]
        case "unpaid_by_month":
            return ("month", "currency", "to_receive", "to_pay"), [
                (month, currency, amount * 3, amount * 2) for month in months(years) for currency in CURRENCIES
            ]
        case "top_designs":
            names = [(n, f"Design of {years[0]} with a name that is long, number {n}") for n in range(10)]
            return ("design_id", "design", "orders", "units"), [(n, name, 3, 100 - n) for n, name in names]
        case "top_suppliers":
            return ("currency", "place", "counterparty_id", "counterparty", "orders", "amount"), [
                (currency, n, n, f"Supplier {n}", 2, amount - n) for currency in CURRENCIES for n in range(1, 11)
            ]
        case _:
            return ("currency", "sales"), [(currency, amount) for currency in CURRENCIES]


def answer(question: Question, years: tuple[int, ...]) -> Answer:
    columns, values = rows(question, years)
    return Answer(question, f"{question.sql.strip()};", columns, tuple(values))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report about three years in three currencies."""
    questions = [question for chapter in REPORT.chapters for question in chapter.questions]
    content = ReportContent(
        title=REPORT.title,
        run=7,
        snapshot_time=datetime(2024, 11, 15, 12, tzinfo=UTC),
        complete=True,
        made_at=datetime(2024, 11, 15, 13, tzinfo=UTC),
        day=date(2024, 11, 15),
        chapters=tuple(
            AnsweredChapter(chapter.title, tuple(answer(question, YEARS) for question in chapter.questions))
            for chapter in REPORT.chapters
        ),
        filter=REPORT.filter,
        by_period=tuple(
            (
                Period(str(year), date(year, 1, 1), date(year + 1, 1, 1)),
                {question.name: answer(question, (year,)) for question in questions if question.of_a_period},
            )
            for year in YEARS
        ),
    )
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(to_html(content), encoding="utf-8")
    return file.as_uri()


async def choose(visit: Visit, label: str) -> None:
    await visit.page.locator(f"fieldset label:text-is('{label}')").click()


async def seen(visit: Visit, selector: str) -> list[str]:
    """The texts of what is visible."""
    found = visit.page.locator(f"{selector}:visible")
    return [" ".join(text.split()) for text in await found.all_inner_texts()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [SCREEN, PHONE], ids=["screen", "phone"])
async def test_everybody_can_read_the_report(
    page: str, look: Look, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    async with look(size=size, scheme=scheme) as visit:
        await visit.page.goto(page)
        assert await visit.overflow() <= 0
        assert await visit.violations() == ""
        labels = await visit.page.evaluate(LABELS)
        assert len(labels) > 50
        assert min(label["size"] for label in labels) >= SMALLEST_LABEL_PX
        for number, one in enumerate(labels):
            for other in labels[number + 1 :]:
                apart = one["right"] <= other["left"] or other["right"] <= one["left"]
                assert apart or one["bottom"] <= other["top"] or other["bottom"] <= one["top"], (one, other)
            assert 0 <= one["left"] <= one["right"] <= size[0], one


async def test_a_reader_filters_by_currency_without_scripts(page: str, look: Look) -> None:
    async with look(scripts=False) as visit:
        await visit.page.goto(page)
        assert await seen(visit, "#by_currency .card h4") == list(CURRENCIES)
        await choose(visit, "GBP")
        assert await seen(visit, "#by_currency .card h4") == ["GBP"]
        assert await seen(visit, "#sales_by_month figcaption") == ["GBP"]
        assert await seen(visit, "#top_suppliers figcaption") == ["GBP"]
        await visit.page.locator("#sales_by_month details:visible").first.locator("summary").click()
        assert {row.split()[1] for row in await seen(visit, "#sales_by_month tbody tr")} == {"GBP"}
        assert len(await seen(visit, "#top_designs .rank")) == 10
        await choose(visit, "All")
        assert await seen(visit, "#by_currency .card h4") == list(CURRENCIES)


async def test_a_reader_filters_by_period_without_scripts(page: str, look: Look) -> None:
    async with look(scripts=False) as visit:
        await visit.page.goto(page)
        assert await seen(visit, "#by_currency dd") == ["6,069.00"] * 3
        for year in YEARS:
            await choose(visit, str(year))
            assert await seen(visit, "#by_currency dd") == [f"{year:,}.00"] * 3
            assert all(f"Design of {year}" in text for text in await seen(visit, "#top_designs .rank .label"))
            assert all(str(year) in text for text in await seen(visit, "#sales_by_month .axis span span"))
            assert len(await seen(visit, "#next_due table")) == 1
        await choose(visit, "All time")
        assert await seen(visit, "#by_currency dd") == ["6,069.00"] * 3


async def test_both_filters_hold_together_and_the_keyboard_is_enough(page: str, look: Look) -> None:
    async with look(size=PHONE, scripts=False) as visit:
        await visit.page.goto(page)
        await visit.page.locator("#period-0").focus()
        await visit.page.keyboard.press("ArrowRight")
        await visit.page.keyboard.press("Tab")
        for _ in range(2):
            await visit.page.keyboard.press("ArrowRight")
        assert await seen(visit, "#by_currency .card h4") == ["GBP"]
        assert await seen(visit, "#by_currency dd") == ["2,024.00"]
        assert await visit.overflow() <= 0

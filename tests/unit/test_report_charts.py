"""The charts of `totesys report`: lengths that fit, scales that can be read, labels that have room."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from totesys.reporting import Months, Question, Ranks
from totesys_cli.report.charts import MonthChart, RankChart, charts, short
from totesys_cli.report.filters import Choices, rules
from totesys_cli.report.report_answers import Answer, Value

AMOUNTS = st.decimals(-(10**15), 10**15, places=2)
BY_MONTH = Question("by_month", "By month", "", "", Months("month", "amount", "currency", below="owed"))
BY_RANK = Question("by_rank", "By rank", "", "", Ranks("name", "amount", key="id"))


def by_month(rows: list[tuple[date, str, Decimal, Decimal]]) -> list[MonthChart]:
    answer = Answer(BY_MONTH, "", ("month", "currency", "amount", "owed"), tuple(rows))
    return [chart for chart in charts(answer) if isinstance(chart, MonthChart)]


@given(
    st.dictionaries(
        st.tuples(
            st.dates(date(1990, 1, 1), date(2090, 1, 1)).map(lambda day: day.replace(day=1)), st.sampled_from("AB")
        ),
        st.tuples(AMOUNTS, AMOUNTS),
        min_size=1,
    )
)
def test_bars_stay_in_their_chart_and_labels_are_few(found: dict[tuple[date, str], tuple[Decimal, Decimal]]) -> None:
    rows = [(month, panel, *amounts) for (month, panel), amounts in found.items()]
    drawn = by_month(rows)
    assert [chart.title for chart in drawn] == sorted({panel for _, panel, *_ in rows})
    assert len({len(chart.columns) for chart in drawn}) == 1
    for chart in drawn:
        bars = [column.bar for column in chart.columns if column.bar]
        assert len(bars) == sum(panel == chart.title for _, panel, *_ in rows)
        assert 0 <= chart.zero <= 100
        for bar in bars:
            assert 0 <= bar.above <= chart.zero + 1e-6
            assert 0 <= bar.below <= 100 - chart.zero + 1e-6
        assert chart.lines[round(chart.zero * (len(chart.lines) - 1) / 100)] == "0"
        assert len(chart.lines) <= 10


@pytest.mark.parametrize("count", [1, 2, 3, 12, 25, 60, 120, 1300])
def test_a_phone_shows_at_most_four_labels_and_a_screen_nine(count: int) -> None:
    days = [date(2022 + n // 12, n % 12 + 1, 1) for n in range(count)]
    (chart,) = by_month([(day, "A", Decimal(1), Decimal(0)) for day in days])
    labels = [column for column in chart.columns if column.label]
    assert 1 <= sum(column.phone for column in labels) <= 4
    assert 1 <= len(labels) <= 9 + 1
    assert [column.bar is not None for column in chart.columns] == [True] * count


def test_a_negative_amount_is_drawn_on_the_other_side() -> None:
    (chart,) = by_month(
        [(date(2024, 1, 1), "A", Decimal(-5), Decimal(0)), (date(2024, 2, 1), "A", Decimal(10), Decimal(0))]
    )
    first, second = (column.bar for column in chart.columns)
    assert first is not None
    assert second is not None
    assert (first.above, second.below) == (0, 0)
    assert first.below * 2 == pytest.approx(second.above)
    assert chart.lines == ("10", "5", "0", "5")


@pytest.mark.parametrize(
    "amounts", [[Decimal(4), Decimal(2), Decimal(0)], [Decimal(0)], [Decimal(-1), Decimal(-2)], [None]]
)
def test_the_longest_bar_of_a_ranking_is_whole(amounts: list[Value]) -> None:
    rows = tuple((number, f"Name {number}", amount) for number, amount in enumerate(amounts))
    (chart,) = charts(Answer(BY_RANK, "", ("id", "name", "amount"), rows))
    assert isinstance(chart, RankChart)
    greatest = max((amount for amount in amounts if isinstance(amount, Decimal)), default=Decimal(0))
    assert max(rank.length for rank in chart.ranks) == (100 if greatest > 0 else 0)
    assert [rank.label for rank in chart.ranks] == [f"Name {number} #{number}" for number in range(len(amounts))]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (5, "5"), (999, "999"), (999.7, "1 k"), (1500, "1.5 k"), (999_999, "1 M"), (2.5e7, "25 M"),
     (-2e9, "-2 G"), (5e15, "5,000 T"), (0.25, "0.25")],
)  # fmt: skip
def test_a_number_is_short(number: float, text: str) -> None:
    assert short(number) == text


def test_a_page_names_choices_by_their_places_whatever_they_are() -> None:
    choices = Choices("currency", ("EUR", '"><script>'))
    answer = Answer(BY_RANK, "", ("name", "currency"), (("a", '"><script>'), ("b", None)))
    assert [choices.mark_of(answer, row) for row in answer.rows] == [" choice choice-2", ""]
    assert choices.mark_of(Answer(BY_RANK, "", ("name",), (("EUR",),)), ("EUR",)) == ""
    assert rules(2, 1).count("{ display: none; }") == 4

"""What a warehouse table's function gives is brought into the declared form, or set apart with its reasons."""

import calendar
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, cast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.models import shops, values
from totesys.errors import ModelError
from totesys.frames import polars_schema
from totesys.model import MODEL
from totesys.model.conformed import DIM_CURRENCY, DIM_DATE, DIM_STAFF, FIRST_DAY
from totesys.model.payments import FACT_PAYMENT
from totesys.schema import Model
from totesys.table import Column, Dimension, SourceTable, WarehouseTable
from totesys.types import BIGINT, DATE, INTEGER, TIMESTAMP, Kind
from totesys_transform.csv_reader import SourceRows, read_csv
from totesys_transform.parquet_writer import to_parquet
from totesys_transform.table_builder import UNKNOWN, Built, build, build_from_references, check_grain, key_list

TODAY = date(2026, 11, 22)
BUILT = [
    pytest.param(model, table, id=table.name)
    for model in (MODEL, shops.MODEL, values.MODEL)
    for table in model.tables
    if table.sources
]
# A value of each type, for columns that do not matter.
SOMETHING: dict[Kind, Any] = {
    Kind.INT32: 1,
    Kind.BOOLEAN: True,
    Kind.TEXT: "x",
    Kind.DECIMAL: "1.00",
    Kind.TIMESTAMP: "2022-11-03T14:20:49.962",
}
DAYS = [f"2022-{month:02}-{day:02}" for month in (0, 2, 4, 12, 13) for day in (0, 1, 28, 29, 30, 31, 32)]
WRITINGS = ["", " 2022-01-03", "2022-01-03 ", "2022-1-5", "+2022-1-03", "0000-01-01", "-001-01-01", "2022/01/03"]
WRITINGS += ["٢٠٢٢-٠١-٠٣", "2022-01-03\n", "2022-01-03T00:00:00", "20220103", "2022-W01-1", "03-01-2022", "null", "0"]


def rows(table: SourceTable, *given: dict[str, Any]) -> SourceRows:
    """SourceRows of a source table in which only the given values matter."""
    columns = {
        column.name: pl.Series([row.get(column.name, SOMETHING[column.type.kind]) for row in given])
        for column in table.columns
    }
    schema = polars_schema(table)
    frame = pl.DataFrame(
        [
            series.cast(pl.String).str.to_datetime(time_unit="ms").alias(name)
            if isinstance(schema[name], pl.Datetime)
            else series.cast(schema[name]).alias(name)
            for name, series in columns.items()
        ]
    )
    return SourceRows(frame)


def built(table: WarehouseTable, *given: Sequence[dict[str, Any]]) -> Built:
    """The table, built of its sources' rows."""
    sources = [MODEL.source(name) for name in table.sources]
    frames = {source.name: rows(source, *some) for source, some in zip(sources, given, strict=True)}
    return build(MODEL, table, frames)


def rejected(found: Built) -> list[tuple[int, list[str]]]:
    """The positions of the rejected rows, each with its reasons."""
    return found.rejected.rows()


@pytest.mark.parametrize(("model", "table"), BUILT)
def test_every_declared_column_is_built_with_its_type(model: Model, table: WarehouseTable) -> None:
    sources = [model.source(name) for name in table.sources]
    found = build(model, table, {source.name: SourceRows(polars_schema(source).to_frame()) for source in sources})
    assert found.rows.schema == polars_schema(table)
    assert found.rows.is_empty()
    assert found.rejected.is_empty()
    assert to_parquet(found.rows, table)


def test_an_agreed_date_is_exactly_a_day_of_the_calendar() -> None:
    texts = [*DAYS, *WRITINGS, "0001-01-01", "9999-12-31", "2024-02-29", "1900-02-29"]
    found = built(FACT_PAYMENT, [{"payment_id": key, "payment_date": text} for key, text in enumerate(texts)])
    dates = dict(found.rows.select("payment_id", "payment_date").iter_rows())
    for key, text in enumerate(texts):
        assert dates.get(key) == _day(text), text
    wrong = [(key, text) for key, text in enumerate(texts) if _day(text) is None]
    assert rejected(found) == [(key, [f'payment_date is not a valid date: "{text}"']) for key, text in wrong]


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if text == day.isoformat() else None


def test_every_reason_of_a_row_is_told() -> None:
    found = built(FACT_PAYMENT, [{"payment_id": 1, "payment_date": "soon", "payment_amount": None}])
    assert rejected(found) == [(0, ["payment_amount is NULL", 'payment_date is not a valid date: "soon"'])]


def test_a_required_text_that_is_missing_is_unknown() -> None:
    staff = [{"staff_id": key, "department_id": key} for key in (1, 2)]
    departments: list[dict[str, Any]] = [{"department_id": 1, "location": None}, {"department_id": 2, "location": ""}]
    found = built(DIM_STAFF, staff, departments)
    assert found.rows["location"].to_list() == [UNKNOWN, ""]
    assert found.rejected.is_empty()


def test_a_row_whose_other_side_is_missing_is_left_out() -> None:
    staff = [{"staff_id": key, "department_id": key} for key in (1, 2)]
    found = built(DIM_STAFF, staff, [{"department_id": 1}])
    assert found.rows["staff_id"].to_list() == [1]
    assert rejected(found) == []
    assert found.left_out.rows() == [(2,)]


def test_a_currency_code_has_its_iso_name_or_none() -> None:
    codes = ["GBP", "EUR", "gbp", "ZZZ", ""]
    found = built(DIM_CURRENCY, [{"currency_id": key, "currency_code": code} for key, code in enumerate(codes)])
    assert found.rows["currency_code"].to_list() == codes
    assert found.rows["currency_name"].to_list() == ["Pound Sterling", "Euro", UNKNOWN, UNKNOWN, UNKNOWN]


def ticket_table(made: Callable[[pl.LazyFrame], pl.LazyFrame]) -> WarehouseTable:
    columns = shops.DIM_TICKET.columns
    return WarehouseTable("dim_ticket", columns, key="ticket_id", sources=("ticket",), build=made, reference_query="-")


TICKETS = pl.DataFrame(
    {"ticket_id": [4, 1, 2, 3], "label": ["a", "b", "a", "b"]}, schema_overrides={"ticket_id": pl.Int32}
)
TICKET = pl.col("ticket_id")
NOT_ROW_BY_ROW: dict[str, tuple[Callable[[pl.LazyFrame], pl.LazyFrame], str]] = {
    "an aggregate": (lambda t: t.group_by("label").agg(TICKET.min()), "depend on other rows of ticket"),
    "distinct values": (lambda t: t.unique("label", keep="first", maintain_order=True), "depend on other rows"),
    "a window": (lambda t: t.with_columns(label=TICKET.rank().cast(pl.String)), "depend on other rows"),
    "a running total": (lambda t: t.with_columns(label=TICKET.cum_sum().cast(pl.String)), "depend on other rows"),
    "the first rows": (lambda t: t.head(2), "depend on other rows"),
    "rows of rows": (lambda t: pl.concat([t, t]), "more than one row for a ticket_id"),
    "a key of its own": (lambda t: t.with_columns(TICKET + 10), "a ticket_id that ticket does not have"),
    "an error": (lambda t: t.with_columns(label=1 / 0), "fails on rows of this run: ZeroDivisionError"),
    "no frame": (lambda t: cast(pl.LazyFrame, None), "fails on rows of this run: AttributeError"),
    "a column that is not there": (lambda t: t.with_columns(label=pl.col("nope")), "fails on rows of this run: Column"),
}


@pytest.mark.parametrize("what", NOT_ROW_BY_ROW)
def test_a_function_that_does_not_build_each_row_from_one_row_is_refused(what: str) -> None:
    made, fault = NOT_ROW_BY_ROW[what]
    with pytest.raises(ModelError, match=f"The function that builds dim_ticket .*{fault}"):
        check_grain(shops.MODEL, ticket_table(made), {"ticket": SourceRows(TICKETS)})


def test_a_function_that_builds_row_by_row_is_taken() -> None:
    for made in (lambda t: t, lambda t: t.filter(pl.col("label") == "a"), lambda t: t.sort("label")):
        check_grain(shops.MODEL, ticket_table(made), {"ticket": SourceRows(TICKETS)})


@given(st.sets(st.integers(-(2**63), 2**63 - 1), max_size=30) | st.sets(st.integers(-5, 5)))
def test_ranges_hold_exactly_the_keys(keys: set[int]) -> None:
    table = replace(ticket_table(lambda ticket: ticket), columns=(Column("ticket_id", BIGINT),))
    ranges = key_list(table, pl.DataFrame({"ticket_id": sorted(keys, key=str)}, schema={"ticket_id": pl.Int64})).rows()
    assert [key for first, last in ranges for key in range(first, last + 1)] == sorted(keys)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(ranges))


def test_a_row_that_the_function_leaves_out_is_not_quarantined() -> None:
    frame = pl.DataFrame({"ticket_id": [1, 2], "label": ["a", "b"]}, schema_overrides={"ticket_id": pl.Int32})
    table = ticket_table(lambda ticket: ticket.filter(pl.col("label") == "a"))
    found = build(shops.MODEL, table, {"ticket": SourceRows(frame)})
    assert found.rows["ticket_id"].to_list() == [1]
    assert rejected(found) == []
    assert found.left_out.rows() == [(2,)]


def test_a_join_that_makes_two_rows_of_one_is_refused() -> None:
    with pytest.raises(ModelError, match="dim_staff returns more than one row"):
        built(DIM_STAFF, [{"staff_id": 1, "department_id": 1}], [{"department_id": 1}, {"department_id": 1}])


def test_rows_come_in_the_order_of_their_key() -> None:
    staff = [{"staff_id": key, "department_id": key % 3} for key in (7, 3, 9, 1)]
    departments = [{"department_id": key} for key in (2, 0, 1)]
    assert built(DIM_STAFF, staff, departments).rows["staff_id"].to_list() == [1, 3, 7, 9]


@examples(50)
@given(referenced=st.lists(st.dates(), max_size=5), today=st.dates(FIRST_DAY, date(2100, 1, 1)) | st.just(FIRST_DAY))
def test_the_calendar_has_no_gap_to_the_end_of_next_year_and_every_day_that_is_referred_to(
    referenced: list[date], today: date
) -> None:
    days = build_from_references(DIM_DATE, pl.Series(referenced, dtype=pl.Date), today)["date_id"].to_list()
    last = date(today.year + 1, 12, 31)
    calendar_days = {FIRST_DAY + timedelta(days=number) for number in range((last - FIRST_DAY).days + 1)}
    assert days == sorted(calendar_days | set(referenced))


@examples(50)
@given(day=st.dates())
def test_a_day_is_described_as_the_calendar_has_it(day: date) -> None:
    found = build_from_references(DIM_DATE, pl.Series([day], dtype=pl.Date), TODAY)
    assert found.schema == polars_schema(DIM_DATE)
    [row] = found.filter(pl.col("date_id") == day).to_dicts()
    assert row == {
        "date_id": day,
        "year": day.year,
        "month": day.month,
        "day": day.day,
        "day_of_week": day.isoweekday(),
        "day_name": calendar.day_name[day.weekday()],
        "month_name": calendar.month_name[day.month],
        "quarter": (day.month + 2) // 3,
    }


OPENING = SourceTable(
    "opening", key="opening_id", columns=(Column("opening_id", INTEGER), Column("opened", DATE, nullable=True))
)
BRANCH = SourceTable(
    "branch",
    key="founded",
    columns=(
        Column("founded", DATE),
        Column("opening_id", INTEGER),
        Column("closed", DATE, nullable=True),
        Column("note", TIMESTAMP),
    ),
)
DIM_BRANCH = Dimension(
    "dim_branch",
    columns=(
        Column("founded", DATE),
        Column("closed", DATE, nullable=True),
        Column("opened", DATE, nullable=True),
    ),
    key="founded",
    sources=("branch", "opening"),
    build=lambda branch, opening: branch.join(opening, on="opening_id", how="left"),
    reference_query="-",
)
BRANCHES = Model("branches", sources=(BRANCH, OPENING), tables=(DIM_BRANCH,))


def test_what_an_unreadable_value_has_a_part_in_is_quarantined_and_nothing_else() -> None:
    branches = (
        b"founded,opening_id,closed,note\n"
        b"2001-01-01,1,,infinity\n"  # the note is in no column
        b"2002-01-01,2,infinity,2001-01-01 00:00:00\n"
        b"infinity,1,0044-03-15 BC,2001-01-01 00:00:00\n"
        b"-infinity,1,,2001-01-01 00:00:00\n"
        b"2005-01-01,3,,2001-01-01 00:00:00\n"  # joined with what cannot be read
        b"2006-01-01,9,2007-01-01,2001-01-01 00:00:00\n"
    )
    openings = b"opening_id,opened\n1,2000-01-01\n2,2000-01-02\n3,10000-01-01\n"
    found = build(BRANCHES, DIM_BRANCH, {"branch": read_csv(branches, BRANCH), "opening": read_csv(openings, OPENING)})
    assert found.rows.rows() == [
        (date(2001, 1, 1), None, date(2000, 1, 1)),
        (date(2006, 1, 1), date(2007, 1, 1), None),
    ]
    assert rejected(found) == [
        (1, ['closed is not a valid date: "infinity"']),
        (2, ['founded is not a valid date: "infinity"', 'closed is not a valid date: "0044-03-15 BC"']),
        (3, ['founded is not a valid date: "-infinity"']),
        (4, ['opening 3: opened is not a valid date: "10000-01-01"']),
    ]


def test_a_function_that_fails_is_an_error_of_the_model() -> None:
    table = replace(shops.DIM_TICKET, build=lambda ticket: ticket.with_columns(pl.col("label").cast(pl.Int32)))
    tickets = SourceRows(pl.DataFrame({"ticket_id": [1], "label": ["a"]}, schema_overrides={"ticket_id": pl.Int32}))
    with pytest.raises(ModelError, match="builds dim_ticket fails on rows of this run"):
        build(shops.MODEL, table, {"ticket": tickets})

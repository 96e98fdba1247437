"""The freshness of the warehouse follows from when runs became visible."""

from datetime import UTC, datetime, timedelta

from totesys_console.freshness_chart import HEIGHT, ages, draw, fitting_window, fresh_as_of
from totesys_console.page_query import WINDOWS
from totesys_console.run_cache import Listed
from totesys_console.table_trend import table_trends
from totesys_console.visible_runs import Recent, Visible
from totesys_console.wording import age, clock, size, span

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = WINDOWS["24h"]


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def run(number: int, snapshot: float, at: float, *, complete: bool = True) -> Visible:
    return Visible(number, minutes_ago(snapshot), complete, minutes_ago(at))


def test_the_warehouse_is_as_fresh_as_its_newest_complete_snapshot() -> None:
    runs = [run(1, 20, 19), run(2, 10, 9), run(3, 5, 4, complete=False)]
    assert fresh_as_of(runs) == minutes_ago(10)
    assert fresh_as_of([]) is None


def test_a_run_after_a_pending_one_does_not_count() -> None:
    recent = Recent((run(1, 20, 19), run(3, 10, 9)), (Listed(2, {"manifest.json": "x"}),))
    assert [one.run for one in recent.before_pending] == [1]


def test_age_rises_with_time_and_falls_when_a_snapshot_is_visible() -> None:
    corners = ages([run(1, 60, 58), run(2, 30, 20)], NOW, DAY)
    assert [(corner.at, corner.seconds / 60) for corner in corners] == [
        (minutes_ago(58), 2),
        (minutes_ago(20), 40),
        (minutes_ago(20), 10),
        (NOW, 30),
    ]
    line = draw(corners, NOW, "24h")
    assert line is not None
    assert line.worst.at == minutes_ago(20)
    assert line.over_seconds == 600


def test_an_empty_run_shows_nothing_before_the_runs_that_precede_it() -> None:
    # Ingest was done with run 2 long before load was with run 1.
    corners = ages([run(1, 60, 10), run(2, 50, 50)], NOW, DAY)
    assert [(corner.at, corner.seconds / 60) for corner in corners][:3] == [
        (minutes_ago(10), 50),
        (minutes_ago(10), 50),
        (minutes_ago(10), 40),
    ]


def test_the_line_covers_a_day_and_begins_in_the_middle_of_a_rise() -> None:
    day = 24 * 60
    corners = ages([run(1, day + 100, day + 90), run(2, day - 10, day - 20)], NOW, DAY)
    assert (corners[0].at, corners[0].seconds / 60) == (minutes_ago(day), 100)


def test_a_day_of_many_runs_keeps_its_highest_point() -> None:
    runs = [run(n, 1400 - n / 2, 1400 - n / 2 - (0.4 if n != 1500 else 0.1)) for n in range(1, 2700)]
    runs[1999] = run(2000, 440, 400)
    line = draw(ages([one for one in runs if one.run not in range(2001, 2081)], NOW, DAY), NOW, "24h")
    assert line is not None
    assert len(line.points.split()) < 500
    assert min(float(point.partition(",")[2]) for point in line.points.split()) < line.promise
    assert draw([], NOW, "24h") is None


def heights(points: str) -> list[float]:
    return [float(point.partition(",")[2]) for point in points.split()]


def test_seconds_are_visible_beside_the_promise() -> None:
    line = draw(ages([run(n, 60 - 5 * n, 60 - 5 * n - 2 / 60) for n in range(12)], NOW, DAY), NOW, "1h")
    assert line is not None
    lowest, highest = max(heights(line.area)), min(heights(line.area))
    assert lowest - highest > HEIGHT / 2, "from 2 s after an arrival to 5 min before the next"
    assert 0 < line.promise < highest
    assert [tick.text for tick in line.ticks] == ["1 s", "10 s", "1 min", "10 min", "30 min"]
    assert line.ticks[0].height == 100


def test_the_chart_covers_an_hour_until_more_is_known() -> None:
    assert fitting_window([run(1, 59, 59), run(2, 1, 1)], NOW) == "1h"
    assert fitting_window([run(1, 61, 61), run(2, 1, 1)], NOW) == "24h"


def test_each_table_shows_its_last_change_and_its_rows_over_time() -> None:
    runs = [
        Visible(1, minutes_ago(3000), True, minutes_ago(2999), {"dim_old": 9}),
        Visible(2, minutes_ago(1439), True, minutes_ago(1439), {"fact_loan": 40, "dim_book": 1}),
        Visible(3, minutes_ago(2), True, minutes_ago(1), {"fact_loan": 10}),
    ]
    book, loan = table_trends(runs, NOW, DAY)
    assert (book.name, book.rows, book.age, [bar.x for bar in book.bars]) == ("dim_book", "1", "23 h 59 min", [0])
    assert (loan.name, loan.rows, loan.changed.text) == ("fact_loan", "50", "11:58:00")
    assert [(bar.x, bar.height) for bar in loan.bars] == [(0, 20), (92, 5)]
    assert table_trends([], NOW, DAY) == ()


def test_durations_and_sizes_are_written_as_people_write_them() -> None:
    assert [span(seconds) for seconds in (0, 0.14, 42.6, 133, 3600, 90_000)] == [
        "0 s",
        "0.14 s",
        "42 s",
        "2 min 13 s",
        "1 h",
        "1 d 1 h",
    ]
    assert (age(3.7), age(75)) == ("3 s", "1 min 15 s")
    assert [size(count) for count in (999, 1400, 123_456_789, 10**13)] == ["999 B", "1.4 kB", "123 MB", "10.0 TB"]
    assert clock(minutes_ago(0), NOW) == "12:00:00"
    assert clock(minutes_ago(1440), NOW) == "2026-11-24 12:00:00"

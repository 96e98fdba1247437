"""Where an extraction starts: nothing that may have changed is left out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.lake.records import Manifest
from totesys.transactions import ENOUGH, HALF_CIRCLE, HighWaterMark, Outcomes, Position, SourceState, xid
from totesys_ingest.starting_point import SourceSnapshot, SourceStatus, StartingPoint, choose_start, standby_lag

HERE = "7000/1/16384"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODES = st.sampled_from(["changes", "full"])
LATER_EPOCH = 3 * 2**32
LSN = 5 * 8192 + 100
SIGNED = "ca" * ENOUGH
# Some of those transactions, and then others.
OTHERWISE = "ca" + "cc" * (ENOUGH - 1)

Declared = Mapping[str, tuple[str, ...]]

# What the model declares of the warehouse.
DECLARED: Declared = {"fact_loan": ("loan_id", "fee"), "dim_book": ("book_id", "title")}


def manifest(
    mark: HighWaterMark | int | None,
    source: str = HERE,
    declared: Declared | None = DECLARED,
    *,
    complete: bool = True,
    letters: str | None = SIGNED,
) -> Manifest:
    """The last run's record; without `letters`, one of a release that told no position."""
    known = HighWaterMark(xmax=mark) if isinstance(mark, int) else mark
    position = None
    if letters is not None:
        outcomes = Outcomes(first=900, letters=letters)
        position = Position(timeline=int(source.split("/")[1]), lsn=LSN, outcomes=outcomes)
    return Manifest(
        lake=UUID(int=1),
        run=7,
        previous=6,
        extraction=7,
        complete=complete,
        snapshot_time=NOW,
        finished_at=NOW,
        seconds=0,
        trigger="test",
        source=source,
        xmin_before=None,
        xmin_after=known.xmin if known else None,
        high_water_mark=known if letters else None,
        position=position,
        tables={},
        declared=None if declared is None else dict(declared),
    )


def snapshot(
    xmax: int, *, source: str = HERE, letters: str = SIGNED, lsn: int = LSN, in_recovery: bool = False
) -> SourceSnapshot:
    status = SourceStatus(SourceState(source, lsn, letters), NOW, in_recovery, xmax, xmax)
    return SourceSnapshot(status, HighWaterMark(xmax=xmax), "00000003-1", NOW, lsn)


def test_changes_start_where_the_last_extraction_says() -> None:
    mark = HighWaterMark(xmax=1_000, in_progress=(700, 990))
    assert choose_start("changes", manifest(mark), snapshot(1_500), DECLARED) == StartingPoint(
        mark, mark, "changes since the last run"
    )


def test_a_record_of_a_release_that_kept_less_says_where_changes_start() -> None:
    last = manifest(HighWaterMark(xmax=1_000, in_progress=(700,)), letters=None)
    assert choose_start("changes", last, snapshot(1_500), DECLARED).mark == HighWaterMark(xmax=700)


def test_a_full_extraction_takes_everything_and_keeps_the_mark_until_it_is_complete() -> None:
    start = choose_start("full", manifest(1_000), snapshot(1_500), DECLARED)
    assert (start.mark, start.kept, start.warning) == (None, HighWaterMark(xmax=1_000), False)


@examples(20)
@given(mode=MODES)
def test_a_lake_without_a_run_or_a_complete_one_starts_with_everything(mode: str) -> None:
    for last in (None, manifest(None)):
        start = choose_start(mode, last, snapshot(1_500), DECLARED)
        assert (start.mark, start.kept, start.warning) == (None, None, False)


@pytest.mark.parametrize("letters", [SIGNED, None])
@pytest.mark.parametrize("other", ["7001/1/16384", "7000/1/16385"])
def test_another_database_behind_the_name_starts_with_everything_and_warns(other: str, letters: str | None) -> None:
    start = choose_start("changes", manifest(1_000, source=other, letters=letters), snapshot(1_500), DECLARED)
    assert (start.mark, start.kept, start.warning) == (None, None, True)
    assert other in start.reason
    assert HERE in start.reason


@pytest.mark.parametrize(
    ("letters", "now", "everything"),
    [(SIGNED, SIGNED, False), (SIGNED, OTHERWISE, True), (None, "", True), ("c" * 100, "c" * 100, True)],
    ids=["it has lost nothing", "it has lost something", "an earlier release", "nothing tells"],
)
def test_a_server_that_took_over_goes_on_only_if_it_has_all_that_the_last_run_saw(
    letters: str | None, now: str, everything: bool
) -> None:
    found = snapshot(1_500, source="7000/2/16384", letters=now)
    start = choose_start("changes", manifest(1_000, letters=letters), found, DECLARED)
    assert (start.mark is None, start.warning) == (everything, everything)


@pytest.mark.parametrize(
    "now",
    [
        snapshot(1_500, letters=OTHERWISE),
        snapshot(1_500, letters="p" * len(SIGNED)),
        snapshot(1_500, letters="?" * len(SIGNED), lsn=LSN - 1),
    ],
    ids=["other outcomes", "not there", "a shorter log"],
)
def test_a_source_that_went_back_in_time_starts_with_everything_and_warns(now: SourceSnapshot) -> None:
    start = choose_start("changes", manifest(1_000), now, DECLARED)
    assert (start.mark, start.kept, start.warning) == (None, None, True)
    assert "are not in the source's history" in start.reason


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (snapshot(1_500, lsn=LSN - 1, in_recovery=True), True),
        (snapshot(1_500, lsn=LSN, in_recovery=True), False),
        (snapshot(1_500, lsn=LSN - 1, in_recovery=False), False),
        (snapshot(1_500, source="6999/1/16384", lsn=0, in_recovery=True), False),
    ],
    ids=["a standby that lags", "one that has caught up", "a primary", "another database"],
)
def test_only_a_standby_that_shows_less_than_the_last_run_is_waited_for(found: SourceSnapshot, waits: bool) -> None:
    assert (standby_lag(manifest(1_000), found.status) is not None) is waits


def test_a_standby_on_an_earlier_timeline_is_waited_for_however_long_its_log_is() -> None:
    last = manifest(1_000, source="7000/2/16384")
    assert standby_lag(last, snapshot(1_500, lsn=LSN + 1_000, in_recovery=True).status) is not None


@pytest.mark.parametrize("header", [24, 40])
def test_a_standby_at_the_end_of_a_page_has_caught_up_with_the_beginning_of_the_next(header: int) -> None:
    position = Position(timeline=1, lsn=8192 * 9 + header, outcomes=Outcomes(first=1, letters=""))
    assert position.reached == 8192 * 9


def test_a_mark_in_the_future_starts_with_everything_and_warns() -> None:
    start = choose_start("changes", manifest(1_501), snapshot(1_500), DECLARED)
    assert (start.mark, start.kept, start.warning) == (None, None, True)
    assert choose_start("changes", manifest(1_500), snapshot(1_500), DECLARED).mark == HighWaterMark(xmax=1_500)


def test_a_mark_half_a_circle_ago_starts_with_everything_and_warns() -> None:
    newest = LATER_EPOCH + 5
    start = choose_start("changes", manifest(newest - HALF_CIRCLE), snapshot(newest), DECLARED)
    assert (start.mark, start.warning) == (None, True)
    assert choose_start("changes", manifest(newest - HALF_CIRCLE + 1), snapshot(newest), DECLARED).mark is not None


def test_transaction_ids_start_again_after_four_billion() -> None:
    start = choose_start("changes", manifest(LATER_EPOCH - 10), snapshot(LATER_EPOCH + 10), DECLARED)
    assert start.mark == HighWaterMark(xmax=LATER_EPOCH - 10)
    assert xid(LATER_EPOCH + 10) == "10"
    assert xid(2**32 - 1) == "4294967295"


@examples(300)
@given(
    mode=MODES,
    mark=st.none() | st.integers(3, 2**40),
    xmax=st.integers(3, 2**40),
    in_progress=st.lists(st.integers(1, 2**20), max_size=3),
)
def test_a_start_is_never_later_than_what_was_already_seen(
    mode: str, mark: int | None, xmax: int, in_progress: list[int]
) -> None:
    known = mark and HighWaterMark(xmax=mark, in_progress=tuple(max(3, mark - age) for age in in_progress))
    start = choose_start(mode, manifest(known), snapshot(xmax), DECLARED)
    assert start.mark in (None, known)
    assert start.kept in (None, known)
    if start.mark is not None:
        assert start.kept == start.mark
        assert xmax >= start.mark.xmax
        assert xmax - start.mark.xmin < HALF_CIRCLE


@examples(20)
@given(mode=MODES)
def test_what_the_model_gains_starts_with_everything_and_warns(mode: str) -> None:
    told: Declared = {"fact_loan": ("loan_id",)}
    start = choose_start(mode, manifest(1_000, declared=told), snapshot(1_500), DECLARED)
    reason = "the model declares fact_loan.fee, dim_book since the last run"
    assert start == StartingPoint(None, None, reason, warning=True)


@examples(20)
@given(mode=MODES)
def test_a_record_that_does_not_tell_what_was_declared_starts_with_everything_and_warns(mode: str) -> None:
    start = choose_start(mode, manifest(1_000, declared=None), snapshot(1_500), DECLARED)
    assert (start.mark, start.kept, start.warning) == (None, None, True)


def test_what_the_model_loses_or_moves_needs_nothing() -> None:
    fewer: Declared = {"dim_book": ("title", "book_id")}
    for last in (manifest(1_000), manifest(1_000, declared=fewer)):
        assert choose_start("changes", last, snapshot(1_500), fewer).mark == HighWaterMark(xmax=1_000)


def test_an_old_release_in_between_leaves_out_what_the_next_one_brings_again() -> None:
    old: Declared = {"dim_book": DECLARED["dim_book"]}
    forward = choose_start("changes", manifest(1_000, declared=DECLARED), snapshot(1_500), old)
    assert forward.mark == HighWaterMark(xmax=1_000)
    again = choose_start("changes", manifest(1_500, declared=old), snapshot(1_600), DECLARED)
    assert (again.mark, again.warning) == (None, True)


def test_what_the_model_gained_comes_although_its_extraction_was_broken_off() -> None:
    start = choose_start("changes", manifest(1_000, declared={}), snapshot(1_500), DECLARED)
    half = manifest(start.kept, complete=False)
    assert choose_start("changes", half, snapshot(1_600), DECLARED).mark is None

"""Where an extraction starts: nothing that may have changed is left out."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.lake.records import Manifest
from totesys.transactions import HALF_CIRCLE, xid
from totesys_ingest.baseline import Snapshot, Start, choose_start

HERE = "7000/1/16384"
MODES = st.sampled_from(["changes", "full"])
LATER_EPOCH = 3 * 2**32


Declared = dict[str, tuple[str, ...]]

# What the model declares of the warehouse.
DECLARED: Declared = {"fact_loan": ("loan_id", "fee"), "dim_book": ("book_id", "title")}


def manifest(
    xmin_after: int | None, source: str = HERE, declared: Declared | None = DECLARED, *, complete: bool = True
) -> Manifest:
    return Manifest(
        lake=UUID(int=1),
        run=7,
        previous=6,
        extraction=7,
        complete=complete,
        snapshot_time=datetime(2026, 1, 1, tzinfo=UTC),
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=0,
        trigger="test",
        source=source,
        xmin_before=None,
        xmin_after=xmin_after,
        tables={},
        declared=declared,
    )


def snapshot(xmin: int, xmax: int | None = None) -> Snapshot:
    return Snapshot(id="00000003-1", source=HERE, xmin=xmin, xmax=xmin if xmax is None else xmax)


def test_changes_start_where_the_last_extraction_says() -> None:
    assert choose_start("changes", manifest(1_000), snapshot(1_500), DECLARED) == Start(
        1_000, 1_000, "changes since the last run"
    )


def test_a_full_extraction_takes_everything_and_keeps_the_baseline_until_it_is_complete() -> None:
    start = choose_start("full", manifest(1_000), snapshot(1_500), DECLARED)
    assert (start.xmin, start.kept, start.warning) == (None, 1_000, False)


@examples(20)
@given(mode=MODES)
def test_a_lake_without_a_run_or_a_complete_one_starts_with_everything(mode: str) -> None:
    for last in (None, manifest(None)):
        start = choose_start(mode, last, snapshot(1_500), DECLARED)
        assert (start.xmin, start.kept, start.warning) == (None, None, False)


@pytest.mark.parametrize("other", ["7001/1/16384", "7000/2/16384", "7000/1/16385"])
def test_another_database_behind_the_name_starts_with_everything_and_warns(other: str) -> None:
    start = choose_start("changes", manifest(1_000, source=other), snapshot(1_500), DECLARED)
    assert (start.xmin, start.kept, start.warning) == (None, None, True)
    assert other in start.reason
    assert HERE in start.reason


def test_a_baseline_in_the_future_starts_with_everything_and_warns() -> None:
    start = choose_start("changes", manifest(1_501), snapshot(1_400, 1_500), DECLARED)
    assert (start.xmin, start.kept, start.warning) == (None, None, True)
    assert choose_start("changes", manifest(1_500), snapshot(1_400, 1_500), DECLARED).xmin == 1_500


def test_a_baseline_half_a_circle_ago_starts_with_everything_and_warns() -> None:
    newest = LATER_EPOCH + 5
    start = choose_start("changes", manifest(newest - HALF_CIRCLE), snapshot(newest), DECLARED)
    assert (start.xmin, start.warning) == (None, True)
    assert choose_start("changes", manifest(newest - HALF_CIRCLE + 1), snapshot(newest), DECLARED).xmin is not None


def test_transaction_ids_start_again_after_four_billion() -> None:
    start = choose_start("changes", manifest(LATER_EPOCH - 10), snapshot(LATER_EPOCH + 10), DECLARED)
    assert start.xmin == LATER_EPOCH - 10
    assert xid(LATER_EPOCH + 10) == "10"
    assert xid(2**32 - 1) == "4294967295"


@examples(300)
@given(
    mode=MODES,
    baseline=st.none() | st.integers(3, 2**40),
    xmin=st.integers(3, 2**40),
    running=st.integers(0, 2**20),
)
def test_a_start_is_never_later_than_what_was_already_seen(
    mode: str, baseline: int | None, xmin: int, running: int
) -> None:
    start = choose_start(mode, manifest(baseline), snapshot(xmin, xmin + running), DECLARED)
    assert start.xmin in (None, baseline)
    assert start.kept in (None, baseline)
    if start.xmin is not None:
        assert start.kept == start.xmin
        assert 0 <= xmin + running - start.xmin < HALF_CIRCLE


@examples(20)
@given(mode=MODES)
def test_what_the_model_gains_starts_with_everything_and_warns(mode: str) -> None:
    told: Declared = {"fact_loan": ("loan_id",)}
    start = choose_start(mode, manifest(1_000, declared=told), snapshot(1_500), DECLARED)
    reason = "the model declares fact_loan.fee, dim_book since the last run"
    assert start == Start(None, None, reason, warning=True)


@examples(20)
@given(mode=MODES)
def test_a_record_that_does_not_tell_what_was_declared_starts_with_everything_and_warns(mode: str) -> None:
    start = choose_start(mode, manifest(1_000, declared=None), snapshot(1_500), DECLARED)
    assert (start.xmin, start.kept, start.warning) == (None, None, True)


def test_what_the_model_loses_or_moves_needs_nothing() -> None:
    fewer: Declared = {"dim_book": ("title", "book_id")}
    assert choose_start("changes", manifest(1_000), snapshot(1_500), fewer).xmin == 1_000
    assert choose_start("changes", manifest(1_000, declared=fewer), snapshot(1_500), fewer).xmin == 1_000


def test_an_old_release_in_between_leaves_out_what_the_next_one_brings_again() -> None:
    old: Declared = {"dim_book": DECLARED["dim_book"]}
    forward = choose_start("changes", manifest(1_000, declared=DECLARED), snapshot(1_500), old)
    assert forward.xmin == 1_000
    again = choose_start("changes", manifest(1_500, declared=old), snapshot(1_600), DECLARED)
    assert (again.xmin, again.warning) == (None, True)


def test_what_the_model_gained_comes_although_its_extraction_was_broken_off() -> None:
    start = choose_start("changes", manifest(1_000, declared={}), snapshot(1_500), DECLARED)
    half = manifest(start.kept, complete=False)
    assert choose_start("changes", half, snapshot(1_600), DECLARED).xmin is None

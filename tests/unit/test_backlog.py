"""Which run the warehouse shows, and what waits for whom."""

import pytest

from totesys_cli.status.backlog import Backlog


@pytest.mark.parametrize(
    ("loaded", "later", "transformed", "shown", "for_transform", "for_load"),
    [
        (0, {}, set(), 0, [], []),
        (3, {}, set(), 3, [], []),
        # An empty run has nothing to load: what is shown is as new as it is.
        (3, {4: True, 6: True}, set(), 6, [], []),
        (3, {4: True, 5: False, 6: True}, set(), 4, [5], []),
        (3, {4: False, 5: False, 7: False}, {5}, 3, [4, 7], [5]),
        # An empty source before the first load.
        (0, {1: True, 2: False}, {2}, 1, [], [2]),
    ],
)
def test_an_empty_run_counts_as_shown_and_each_other_waits_for_one_stage(
    loaded: int,
    later: dict[int, bool],
    transformed: set[int],
    shown: int,
    for_transform: list[int],
    for_load: list[int],
) -> None:
    backlog = Backlog(loaded, later, transformed)
    assert backlog.newest_shown == shown
    assert (backlog.for_transform, backlog.for_load) == (for_transform, for_load)

"""A failed message is retried with growing delays, up to its last receive."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from totesys.errors import AccessDenied, BadMessage, DatabaseUnavailable, LakeUnavailable, ModelError, SchemaDrift
from totesys.service.retry import LONGEST_DELAY, GiveUp, Retry, after_failure, jitter

MOST = 5
FRACTIONS = st.floats(0, 1)


@pytest.mark.parametrize("error", [AccessDenied("no"), BadMessage("no"), ModelError("no"), SchemaDrift("no")])
def test_what_a_person_has_to_fix_is_dead_lettered_at_once(error: Exception) -> None:
    assert after_failure(error, 1, MOST, 0.5) == GiveUp(f"{type(error).__name__}: no")


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), LakeUnavailable("gone"), ZeroDivisionError("gone")])
def test_what_may_pass_is_retried_until_the_last_receive(error: Exception) -> None:
    decisions = [after_failure(error, receives, MOST, 0.5) for receives in range(1, MOST + 1)]
    assert all(isinstance(decision, Retry) for decision in decisions[:-1])
    assert decisions[-1] == GiveUp(f"{type(error).__name__}: gone (tried 5 times)")


@examples(200)
@given(receives=st.integers(1, 200), one=FRACTIONS, other=FRACTIONS)
def test_a_delay_is_between_half_and_all_of_one_that_doubles_up_to_a_limit(
    receives: int, one: float, other: float
) -> None:
    decision, next_one = (
        after_failure(LakeUnavailable("gone"), number, 1_000, fraction)
        for number, fraction in ((receives, one), (receives + 1, other))
    )
    assert isinstance(decision, Retry)
    assert isinstance(next_one, Retry)
    longest = min(timedelta(seconds=2**receives), LONGEST_DELAY) if receives < 30 else LONGEST_DELAY
    assert longest / 2 <= decision.delay <= longest
    assert next_one.delay >= decision.delay / 2


def test_jitter_is_a_fraction() -> None:
    assert all(0 <= jitter() <= 1 for _ in range(100))

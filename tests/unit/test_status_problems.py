"""What of a status needs attention."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from totesys.transactions import LONG_OPEN
from totesys_cli.status.alert_recipients import is_confirmed
from totesys_cli.status.status_reading import PROMISE, Status

AT = datetime(2026, 11, 30, tzinfo=UTC)
STAGES = ("ingest", "transform", "load")
FINE: dict[str, Any] = {
    "at": AT,
    "run": 7,
    "as_of": AT - timedelta(minutes=1),
    "fresh": 60.0,
    "stages": [{"stage": stage} for stage in STAGES],
    "queues": [{"stage": stage, "waiting": 1, "in_flight": 1, "dead_letters": 0} for stage in STAGES],
    "quarantine": {"runs": 3, "tables": ("t",)},
    "verification": {"started_at": AT, "run": 7, "equal": True, "compared": 9, "wrong": 0},
    "open_transaction": {"holder": "session 5", "since": AT, "seconds": LONG_OPEN.total_seconds()},
}


def test_work_in_progress_and_quarantined_rows_need_no_attention() -> None:
    assert Status(**FINE).problems == []
    assert Status(**FINE | {"verification": None, "open_transaction": None}).problems == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"run": None, "as_of": None, "fresh": None}, "Nothing is in the warehouse yet"),
        ({"fresh": PROMISE.total_seconds() + 60}, "is 31 min 0 s old; 30 minutes are promised"),
        ({"stages": [{"stage": "load", "error": "run 8: Corrupt object: x"}]}, "load failed at run 8: Corrupt object"),
        ({"queues": [{"stage": "load", "waiting": 0, "in_flight": 0, "dead_letters": 2}]}, "load has 2 dead letters"),
        ({"verification": FINE["verification"] | {"equal": False, "wrong": 2}}, "found 2 wrong rows"),
        ({"open_transaction": FINE["open_transaction"] | {"seconds": 3601}}, "open for 1 h 0 min: session 5"),
        ({"alerts_confirmed": False}, "Nobody receives the alarms"),
    ],
)
def test_a_fault_needs_attention(changed: dict[str, Any], words: str) -> None:
    status = Status(**FINE | changed)
    (problem,) = status.problems
    assert words in problem
    assert status.model_dump()["problems"] == [problem]


@pytest.mark.parametrize(
    ("subscriptions", "confirmed"),
    [
        ([], False),
        ([("arn:aws:sns:eu-west-2:1:shop-alerts", "PendingConfirmation")], False),
        ([("arn:aws:sns:eu-west-2:1:workshop-alerts", "arn:aws:sns:eu-west-2:1:workshop-alerts:1")], False),
        ([("arn:aws:sns:eu-west-2:1:shop-alerts", "arn:aws:sns:eu-west-2:1:shop-alerts:1")], True),
    ],
)
def test_alarms_reach_somebody_only_through_a_confirmed_subscription(
    subscriptions: list[tuple[str, str]], confirmed: bool
) -> None:
    assert is_confirmed("shop", subscriptions) is confirmed

"""The reader of metrics refuses what CloudWatch would not take, so that a test which uses it means something."""

import json

import pytest

from tests.emf import Seen, read
from totesys.logs import metrics


def line(value: object) -> str:
    """A log line with one metric, as the services write it, of any value."""
    fields = metrics("load", Freshness=0)
    for directive in fields["_aws"]["CloudWatchMetrics"]:
        directive["Namespace"] = "shop"
    return json.dumps({**fields, "Freshness": value})


@pytest.mark.parametrize("value", [0, -1, 0.25, 2.0**360])
def test_a_valid_number_is_accepted(value: float) -> None:
    assert read([line(value).encode()]) == {Seen("shop", "Freshness", frozenset({("stage", "load")}), "Seconds")}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 2.0**361, -(2.0**361), True, "1", None])
def test_a_value_that_cloudwatch_does_not_accept_is_refused(value: object) -> None:
    with pytest.raises(AssertionError):
        read([line(value).encode()])


def test_a_number_that_only_becomes_infinite_when_it_is_read_is_refused() -> None:
    with pytest.raises(AssertionError):
        read([line(0).replace('"Freshness": 0', '"Freshness": 1e999').encode()])


def test_a_line_without_metrics_has_to_be_json_too() -> None:
    with pytest.raises(AssertionError, match="NaN is no JSON"):
        read([b'{"event": "run_completed", "duration_s": NaN}'])

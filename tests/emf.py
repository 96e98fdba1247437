"""Reads log lines as CloudWatch does: strictly by AWS's "Specification: Embedded metric format"."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from totesys_infra.metrics import Metric

# All that CloudWatch takes: "MetricDatum" in its API reference.
UNITS = {
    *(
        f"{size}{what}{per}".capitalize().replace("/second", "/Second")
        for size in ("", "kilo", "mega", "giga", "tera")
        for what in ("bytes", "bits")
        for per in ("", "/second")
    ),
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"),
}
MOST_METRICS, MOST_DIMENSIONS, LONGEST_NAME = 100, 30, 1024
# The same page: beyond it, either way, a value is refused.
LARGEST = 2.0**360


@dataclass(frozen=True)
class Seen:
    """A metric as a line gave it; its dimensions as pairs, so that it can be told from others."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    unit: str

    def is_of(self, metric: Metric) -> bool:
        """Whether this is what whoever asks for `metric` gets."""
        return self == Seen(metric.namespace, metric.name, frozenset(metric.dimensions.items()), metric.unit)


def read(lines: Iterable[bytes]) -> set[Seen]:
    """The metrics that the lines carry. Raises AssertionError for a line that CloudWatch would not take them from."""
    return {seen for line in lines for seen in _of_line(json.loads(line, parse_constant=_refuse))}


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON, so CloudWatch reads nothing of its line")


def _of_line(line: dict[str, Any]) -> Iterator[Seen]:
    if "_aws" not in line:
        return
    metadata = line["_aws"]
    assert isinstance(metadata["Timestamp"], int), line
    assert len(str(metadata["Timestamp"])) == len("1795632536757"), "in milliseconds"
    assert metadata["CloudWatchMetrics"], line
    for directive in metadata["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}, line
        assert 0 < len(directive["Metrics"]) <= MOST_METRICS, line
        for dimensions in directive["Dimensions"]:
            assert 0 < len(dimensions) <= MOST_DIMENSIONS, line
            values = frozenset((name, _text(line[name])) for name in dimensions)
            for metric in directive["Metrics"]:
                assert set(metric) == {"Name", "Unit"}, line
                assert metric["Unit"] in UNITS, line
                _number(line[metric["Name"]])
                yield Seen(_text(directive["Namespace"]), _text(metric["Name"]), values, metric["Unit"])


def _text(value: object) -> str:
    assert isinstance(value, str), value
    assert 0 < len(value) <= LONGEST_NAME, value
    return value


def _number(value: object) -> None:
    assert isinstance(value, int | float), value
    assert not isinstance(value, bool), value
    assert math.isfinite(value), value
    assert abs(value) <= LARGEST, value

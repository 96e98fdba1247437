"""The metrics of a service in Prometheus' text format: those of its log lines, of its queue, and its health."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from totesys.metric_declarations import METRICS, MetricKind, declared_metric
from totesys.service.queue import Depth
from totesys.version import VERSION

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# The depths of a queue and of its dead-letter queue.
Depths: TypeAlias = tuple[Depth, Depth]
_Key: TypeAlias = tuple[str, str]


class Exposition:
    """Adds up the metrics that log lines carry, since this process started."""

    def __init__(self) -> None:
        self._values: dict[_Key, float] = defaultdict(float)
        self._counts: dict[_Key, int] = defaultdict(int)
        self._measured: dict[_Key, float] = {}
        self._errors = 0

    def take(self, line: Mapping[str, Any]) -> None:
        """Take the metrics of a log line. CloudWatch counts its error lines by a filter, which counts the same."""
        self._errors += line.get("level") == "error"
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            for metric in directive["Metrics"]:
                self._add((line["stage"], metric["Name"]), line[metric["Name"]])

    def _add(self, key: _Key, value: float) -> None:
        adds_up = declared_metric(*key).kind in {MetricKind.COUNTER, MetricKind.SUMMARY}
        self._values[key] = self._values[key] + value if adds_up else value
        self._counts[key] += 1
        self._measured[key] = time.monotonic()

    def text(self, service: str, fault: str | None, depths: Depths | None) -> str:
        """The text for one scrape. `fault` says why the service is not alive; None as `depths` leaves out its queue."""
        return "".join(f"{line}\n" for line in (*self._declared(service), *self._own(service, fault, depths)))

    def _declared(self, service: str) -> Iterator[str]:
        for metric in METRICS:
            key = metric.stage, metric.name
            if metric.stage != service or (
                metric.kind in {MetricKind.GAUGE, MetricKind.AGE} and key not in self._measured
            ):
                continue
            name, label, value = metric.prometheus_name, {"stage": metric.stage}, self._values[key]
            yield from _head(name, "gauge" if metric.kind is MetricKind.AGE else metric.kind, metric.help)
            if metric.kind is MetricKind.SUMMARY:
                yield _sample(f"{name}_sum", label, value)
                yield _sample(f"{name}_count", label, self._counts[key])
            else:
                # A measurement that fails must not leave an old value standing.
                older = time.monotonic() - self._measured[key] if metric.kind is MetricKind.AGE else 0.0
                yield _sample(name, label, value + older)

    def _own(self, service: str, fault: str | None, depths: Depths | None) -> Iterator[str]:
        yield from _metric("error_lines_total", service, self._errors, "Error lines of the log.")
        yield from _metric("healthy", service, not fault, "Whether the service is alive.")
        yield from _metric("build_info", service, 1, "The release of the service.", version=VERSION)
        if depths is not None:
            queue, dead = depths
            yield from _metric("messages_waiting", service, queue.waiting, "Waiting messages.")
            yield from _metric("messages_in_flight", service, queue.in_flight, "Messages in progress or to be retried.")
            yield from _metric("dead_letters", service, dead.waiting + dead.in_flight, "Dead letters.")


def _metric(name: str, service: str, value: float, text: str, **labels: str) -> Iterator[str]:
    kind = MetricKind.COUNTER if name.endswith("_total") else MetricKind.GAUGE
    yield from _head(f"totesys_{name}", kind, text)
    yield _sample(f"totesys_{name}", {"service": service, **labels}, value)


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {float(value)!r}"

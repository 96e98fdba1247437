"""The graphs of the CloudWatch dashboard as a Grafana dashboard over the services' /metrics. Pure.

python -m totesys_infra.grafana FILE
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from totesys.metric_declarations import MetricKind, declared_metric
from totesys_infra.dashboard import HEIGHT, Graph, graphs
from totesys_infra.environment import Environment
from totesys_infra.environment_file import FOLDER, read_environment
from totesys_infra.metrics import Metric, error_lines, running_tasks, waiting
from totesys_infra.names import SERVICES, Names

SOURCE = {"type": "prometheus", "uid": "prometheus"}
# Over which Prometheus averages durations and counts rows: the period of CloudWatch's graphs.
PERIOD = "5m"
UNITS = {"Seconds": "s", "Count": "short", "Bytes": "bytes", "Percent": "short"}


def grafana_dashboard(environment: Environment) -> dict[str, Any]:
    """The dashboard: the graphs whose metrics the services serve themselves."""
    return {
        "uid": "totesys",
        "title": "totesys",
        "tags": ["totesys"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": list(_panels(environment)),
    }


def _panels(environment: Environment) -> Iterator[dict[str, Any]]:
    y = 0
    for row in graphs(environment):
        x = 0
        for graph in row:
            targets = list(_targets(graph, environment.names))
            if targets:
                at = {"x": x, "y": y, "w": graph.width, "h": HEIGHT}
                yield {"type": "timeseries", "title": graph.title, "datasource": SOURCE, "gridPos": at} | {
                    "targets": targets,
                    "fieldConfig": {"defaults": _defaults(graph), "overrides": []},
                }
                x += graph.width
        y += HEIGHT if x else 0


def _targets(graph: Graph, names: Names) -> Iterator[dict[str, Any]]:
    for reference, (metric, label) in zip(ascii_uppercase, graph.metrics, strict=False):
        if found := expression(metric, names):
            yield {"refId": reference, "expr": found, "legendFormat": label}


def _defaults(graph: Graph) -> dict[str, Any]:
    lines = [{"value": value, "color": "red"} for value, _ in sorted(graph.lines)]
    return {
        "unit": UNITS[graph.metrics[0][0].unit],
        "min": 0,
        "custom": {"thresholdsStyle": {"mode": "line" if lines else "off"}},
        "thresholds": {"mode": "absolute", "steps": [{"value": None, "color": "green"}, *lines]},
    }


def expression(metric: Metric, names: Names) -> str | None:
    """The PromQL of a CloudWatch metric; None for one that only AWS has."""
    for service in SERVICES:
        if metric == waiting(names.queue(service)):
            return f'max(totesys_messages_waiting{{service="{service}"}})'
        if metric == waiting(names.dead_letters(service)):
            return f'max(totesys_dead_letters{{service="{service}"}})'
        if metric == running_tasks(names, service):
            return f'sum(totesys_healthy{{service="{service}"}})'
        if metric == error_lines(names, service):
            return f'sum(increase(totesys_error_lines_total{{service="{service}"}}[{PERIOD}]))'
    return _of_stage(metric) if metric.namespace == names.metrics_namespace else None


def _of_stage(metric: Metric) -> str:
    declared = declared_metric(metric.dimensions["stage"], metric.name)
    name, labels = declared.prometheus_name, f'{{stage="{declared.stage}"}}'
    match declared.kind:
        case MetricKind.COUNTER:
            return f"sum(increase({name}{labels}[{PERIOD}]))"
        case MetricKind.SUMMARY:
            return f"sum(rate({name}_sum{labels}[{PERIOD}])) / sum(rate({name}_count{labels}[{PERIOD}]))"
        case MetricKind.AGE:
            # Of several replicas, the last one that measured is right.
            return f"min({name}{labels})"
        case MetricKind.GAUGE:
            return f"max({name}{labels})"


if __name__ == "__main__":
    example = read_environment(FOLDER / "example.toml")
    Path(sys.argv[1]).write_text(json.dumps(grafana_dashboard(example), indent=2) + "\n", encoding="utf-8")

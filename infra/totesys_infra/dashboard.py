"""The dashboard: freshness first. Pure; its body is as CloudWatch's "Dashboard body structure and syntax" says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from totesys_infra.alarms import MINUTE, STALE_SECONDS, Statistic, alarms
from totesys_infra.environment import Environment
from totesys_infra.metrics import Metric, error_lines, of_warehouse, oldest, ours, running_tasks, waiting
from totesys_infra.names import SERVICES, Names

WIDTH = 24
HEIGHT = 6
PROMISED_SECONDS = 30 * MINUTE


@dataclass(frozen=True)
class Graph:
    """Metrics over time, each with its label; `lines` are values that are marked, with what they mean."""

    title: str
    metrics: tuple[tuple[Metric, str], ...]
    statistic: Statistic
    width: int = WIDTH // 3
    lines: tuple[tuple[float, str], ...] = ()


def dashboard(environment: Environment) -> dict[str, Any]:
    """The body of an environment's dashboard."""
    rows = graphs(environment)
    all_of_them = [_alarm_arn(environment.names, alarm.name) for alarm in alarms(environment)]
    state = {
        "type": "alarm",
        "x": 0,
        "y": len(rows) * HEIGHT,
        "width": WIDTH,
        "height": 3,
        "properties": {"title": "Alarms", "alarms": all_of_them},
    }
    return {"widgets": [*_placed(rows, environment.region), state]}


def graphs(environment: Environment) -> list[tuple[Graph, ...]]:
    """Its graphs, row by row."""
    names = environment.names
    rows = [
        (
            Graph(
                "Freshness: how old what the warehouse shows is",
                ((ours(names, "load", "Freshness", "Seconds"), "seconds"),),
                "Maximum",
                WIDTH,
                ((PROMISED_SECONDS, "promised"), (STALE_SECONDS, "alarm")),
            ),
        ),
        (
            Graph("Rows", _rows(names), "Sum"),
            Graph("Seconds a run", _seconds(names), "Maximum"),
            Graph("Rows set apart", _apart(names), "Sum"),
        ),
        (
            Graph("Messages that wait", tuple((waiting(names.queue(s)), s) for s in SERVICES), "Maximum"),
            Graph("Age of the oldest", tuple((oldest(names.queue(s)), s) for s in SERVICES), "Maximum"),
            Graph("Dead letters", tuple((waiting(names.dead_letters(s)), s) for s in SERVICES), "Maximum"),
        ),
        (
            Graph("Tasks", tuple((running_tasks(names, s), s) for s in SERVICES), "Average"),
            Graph("Errors in the log", tuple((error_lines(names, s), s) for s in SERVICES), "Sum"),
            Graph("Verification", _verification(names), "Maximum"),
        ),
    ]
    return rows if environment.warehouse.secret is not None else [*rows, _warehouse(names)]


def _rows(names: Names) -> tuple[tuple[Metric, str], ...]:
    return (
        (ours(names, "ingest", "RowsExtracted", "Count"), "extracted"),
        (ours(names, "transform", "RowsTransformed", "Count"), "transformed"),
        (ours(names, "load", "RowsWritten", "Count"), "written"),
        (ours(names, "load", "RowsDeleted", "Count"), "deleted"),
    )


def _seconds(names: Names) -> tuple[tuple[Metric, str], ...]:
    return (
        (ours(names, "ingest", "ExtractionSeconds", "Seconds"), "ingest"),
        (ours(names, "transform", "RunSeconds", "Seconds"), "transform"),
        (ours(names, "load", "RunSeconds", "Seconds"), "load"),
    )


def _apart(names: Names) -> tuple[tuple[Metric, str], ...]:
    return (
        (ours(names, "transform", "RowsQuarantined", "Count"), "quarantined"),
        (ours(names, "load", "RowsOrphaned", "Count"), "orphans"),
        (ours(names, "ingest", "ContractBreaches", "Count"), "contract breaches"),
    )


def _verification(names: Names) -> tuple[tuple[Metric, str], ...]:
    return (
        (ours(names, "load", "VerificationDifferences", "Count"), "rows that differ"),
        (ours(names, "load", "VerificationSeconds", "Seconds"), "seconds"),
    )


def _warehouse(names: Names) -> tuple[Graph, ...]:
    return (
        Graph("Warehouse: processor", ((of_warehouse(names, "CPUUtilization", "Percent"), "percent"),), "Average"),
        Graph("Warehouse: free storage", ((of_warehouse(names, "FreeStorageSpace", "Bytes"), "bytes"),), "Minimum"),
        Graph("Warehouse: connections", ((of_warehouse(names, "DatabaseConnections", "Count"), "open"),), "Maximum"),
    )


def _placed(rows: Sequence[Iterable[Graph]], region: str) -> list[dict[str, Any]]:
    placed = []
    for number, row in enumerate(rows):
        x = 0
        for graph in row:
            where = {"x": x, "y": number * HEIGHT, "width": graph.width, "height": HEIGHT}
            placed.append({"type": "metric", **where, "properties": _properties(graph, region)})
            x += graph.width
    return placed


def _properties(graph: Graph, region: str) -> dict[str, Any]:
    return {
        "title": graph.title,
        "region": region,
        "view": "timeSeries",
        "stat": graph.statistic,
        "period": 5 * MINUTE,
        "metrics": [_line(metric, label) for metric, label in graph.metrics],
        "annotations": {"horizontal": [{"value": value, "label": label} for value, label in graph.lines]},
        "yAxis": {"left": {"min": 0}},
    }


def _line(metric: Metric, label: str) -> list[object]:
    dimensions = (text for pair in metric.dimensions.items() for text in pair)
    return [metric.namespace, metric.name, *dimensions, {"label": label}]


def _alarm_arn(names: Names, alarm: str) -> str:
    return f"arn:{names.partition}:cloudwatch:{names.region}:{names.account}:alarm:{names.name}-{alarm}"

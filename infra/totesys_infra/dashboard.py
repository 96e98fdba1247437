"""The dashboard, freshness first. Pure. Source: CloudWatch's "Dashboard body structure and syntax"."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from totesys_infra.alarms import MINUTE, STALE_SECONDS, Statistic, alarms
from totesys_infra.environment import Environment
from totesys_infra.metrics import (
    BILLING_REGION,
    Metric,
    charges,
    error_lines,
    of_warehouse,
    oldest,
    ours,
    running_tasks,
    waiting,
)
from totesys_infra.names import SERVICES, Names, Service

WIDTH = 24
HEIGHT = 6
PROMISED_SECONDS = 30 * MINUTE
# AWS updates the charges a few times a day.
BILLING_PERIOD = 6 * 60 * MINUTE
# The metric of each stage for the seconds of its work.
WORK: dict[Service, str] = {"ingest": "ExtractionSeconds", "transform": "RunSeconds", "load": "RunSeconds"}


@dataclass(frozen=True)
class Graph:
    """Metrics over time, each with its label. `lines` are marked values with their labels.

    `region` is the region of the metrics, if it is not the environment's.
    """

    title: str
    metrics: tuple[tuple[Metric, str], ...]
    statistic: Statistic
    width: int = WIDTH // 3
    lines: tuple[tuple[float, str], ...] = ()
    period: int = 5 * MINUTE
    region: str | None = None


def dashboard(environment: Environment) -> dict[str, Any]:
    """The body of an environment's dashboard."""
    rows = graphs(environment)
    below = len(rows) * HEIGHT
    where = {"x": 0, "y": below, "width": WIDTH, "height": HEIGHT // 2}
    all_of_them = [_alarm_arn(environment.names, alarm.name) for alarm in alarms(environment)]
    state = {"type": "alarm", **where, "properties": {"title": "Alarms", "alarms": all_of_them}}
    bill = {"type": "text", **where, "y": below + HEIGHT // 2, "properties": {"markdown": expected(environment)}}
    return {"widgets": [*_placed(rows, environment.region), state, bill]}


def expected(environment: Environment) -> str:
    """The estimated cost of a month of the environment's preset, with its assumptions, as Markdown."""
    return (
        f"### Estimated cost: {environment.preset.usd_a_month} USD a month\n"
        f"An estimate, not a bill: the preset `{environment.sizing}` with its defaults, at prices of us-east-1 without "
        "free tier, discount or tax, for a source with 50 changed rows a second around the clock. docs/cost.md has the "
        "arithmetic of each line, and the difference that each option makes. "
        f"The budget of {environment.monthly_budget_usd} USD counts what is tagged with this environment, once the "
        "account has activated that cost allocation tag. The graph of charges counts the whole account, and stays "
        "empty until the account enables billing alerts."
    )


def graphs(environment: Environment) -> list[tuple[Graph, ...]]:
    """The graphs of an environment, by row."""
    names = environment.names
    rows = [
        (_freshness(names),),
        tuple(_lag(names, stage) for stage in SERVICES),
        (
            Graph("Rows", _rows(names), "Sum"),
            Graph("Quarantined and unresolved rows", _quarantined(names), "Sum"),
            Graph("Log errors", tuple((error_lines(names, s), s) for s in SERVICES), "Sum"),
        ),
        (
            Graph("Waiting messages", tuple((waiting(names.queue(s)), s) for s in SERVICES), "Maximum"),
            Graph("Dead letters", tuple((waiting(names.dead_letters(s)), s) for s in SERVICES), "Maximum"),
            Graph("Running tasks", tuple((running_tasks(names, s), s) for s in SERVICES), "SampleCount", period=MINUTE),
        ),
        (
            Graph("Verification: differing rows", (_verification(names, "Differences"),), "Maximum"),
            Graph("Verification: duration", (_verification(names, "Seconds"),), "Maximum"),
            _charges(environment),
        ),
    ]
    return rows if environment.warehouse.secret is not None else [*rows, _warehouse(names)]


def _freshness(names: Names) -> Graph:
    return Graph(
        "Freshness: age of the data in the warehouse",
        ((ours(names, "load", "Freshness"), "seconds"),),
        "Maximum",
        WIDTH,
        ((PROMISED_SECONDS, "promised"), (STALE_SECONDS, "alarm")),
    )


def _lag(names: Names, stage: Service) -> Graph:
    # SQS counts the age of a message until it is deleted, which is when its work is done.
    return Graph(
        f"Lag of {stage}: the time above the work is waiting",
        (
            (oldest(names.queue(stage)), "age of the oldest pending trigger"),
            (ours(names, stage, WORK[stage]), "work"),
        ),
        "Maximum",
        lines=((STALE_SECONDS, "alarm on the oldest message"),),
    )


def _charges(environment: Environment) -> Graph:
    return Graph(
        "Charges of the whole account this month (USD)",
        ((charges(), "charged"),),
        "Maximum",
        lines=((environment.monthly_budget_usd, "budget"),),
        period=BILLING_PERIOD,
        region=BILLING_REGION,
    )


def _rows(names: Names) -> tuple[tuple[Metric, str], ...]:
    return (
        (ours(names, "ingest", "RowsExtracted"), "extracted"),
        (ours(names, "transform", "RowsTransformed"), "transformed"),
        (ours(names, "load", "RowsWritten"), "written"),
        (ours(names, "load", "RowsDeleted"), "deleted"),
    )


def _quarantined(names: Names) -> tuple[tuple[Metric, str], ...]:
    return (
        (ours(names, "transform", "RowsQuarantined"), "quarantined"),
        (ours(names, "load", "RowsUnresolved"), "unresolved references"),
        (ours(names, "ingest", "BreakingChanges"), "breaking changes"),
    )


def _verification(names: Names, what: str) -> tuple[Metric, str]:
    metric = ours(names, "load", f"Verification{what}")
    return metric, metric.unit.lower()


def _warehouse(names: Names) -> tuple[Graph, ...]:
    return (
        Graph("Warehouse: CPU", ((of_warehouse(names, "CPUUtilization", "Percent"), "percent"),), "Average"),
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
        "region": graph.region or region,
        "view": "timeSeries",
        "stat": graph.statistic,
        "period": graph.period,
        "metrics": [_line(metric, label) for metric, label in graph.metrics],
        "annotations": {"horizontal": [{"value": value, "label": label} for value, label in graph.lines]},
        "yAxis": {"left": {"min": 0}},
    }


def _line(metric: Metric, label: str) -> list[object]:
    dimensions = (text for pair in metric.dimensions.items() for text in pair)
    return [metric.namespace, metric.name, *dimensions, {"label": label}]


def _alarm_arn(names: Names, alarm: str) -> str:
    return f"arn:{names.partition}:cloudwatch:{names.region}:{names.account}:alarm:{names.name}-{alarm}"

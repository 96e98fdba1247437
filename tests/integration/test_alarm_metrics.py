"""What alarms and dashboards ask for is what the services really emit, in CloudWatch's format and in Prometheus'."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.emf import Seen, read
from tests.infra.environments import environment as an_environment
from tests.infra.environments import own_warehouse
from tests.processes import LIBRARY, Service, environment, running
from tests.sources import execute, make_library
from totesys.log_events import LogEvent
from totesys.metric_declarations import METRICS, MetricKind
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_infra.alarms import Alarm, alarms
from totesys_infra.dashboard import graphs
from totesys_infra.grafana import grafana_dashboard
from totesys_infra.metrics import ERROR_LINES, Metric, Unit
from totesys_infra.names import SERVICES

SHOP = an_environment("standard")
NAMESPACE = SHOP.names.metrics_namespace
# A day without log capture has none of these.
WITH_LOG_CAPTURE = {"RetainedLogBytes", "RowsMissedByLog"}


@dataclass(frozen=True)
class Documented:
    """What AWS says that it emits in a namespace: on which page, by which dimensions, and each metric's unit."""

    page: str
    dimensions: frozenset[str]
    units: Mapping[str, Unit]


AWS_DOCS = "https://docs.aws.amazon.com"
OF_AWS = {
    "AWS/SQS": Documented(
        f"{AWS_DOCS}/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
        frozenset({"QueueName"}),
        {"ApproximateNumberOfMessagesVisible": "Count", "ApproximateAgeOfOldestMessage": "Seconds"},
    ),
    "AWS/RDS": Documented(
        f"{AWS_DOCS}/AmazonRDS/latest/UserGuide/rds-metrics.html",
        frozenset({"DBInstanceIdentifier"}),
        {
            "FreeStorageSpace": "Bytes",
            "DatabaseConnections": "Count",
            # The page counts credits, which CloudWatch has no unit for.
            "CPUCreditBalance": "Count",
            "CPUUtilization": "Percent",
        },
    ),
    "AWS/ECS": Documented(
        f"{AWS_DOCS}/AmazonECS/latest/developerguide/available-metrics.html",
        frozenset({"ClusterName", "ServiceName"}),
        {"CPUUtilization": "Percent"},
    ),
    "AWS/Billing": Documented(
        f"{AWS_DOCS}/AmazonCloudWatch/latest/monitoring/billing-metricscollected.html",
        frozenset({"Currency"}),
        # The page counts a currency, which CloudWatch has no unit for.
        {"EstimatedCharges": "None"},
    ),
}


@pytest.fixture(scope="module")
def asked() -> list[tuple[str, Metric]]:
    """Each metric that an alarm or the dashboard asks for, and who asks."""
    shops = (SHOP, own_warehouse("standard"), an_environment("high-availability"))
    frugal = [alarm for preset in ("lean", "scheduled") for alarm in alarms(an_environment(preset))]
    by_alarms = [(f"alarm {alarm.name}", alarm.metric) for shop in shops for alarm in alarms(shop)]
    by_alarms += [(f"frugal alarm {alarm.name}", alarm.metric) for alarm in frugal]
    rows = (row for shop in shops for row in graphs(shop))
    by_dashboard = [(f"graph {graph.title}", metric) for row in rows for graph in row for metric, _ in graph.metrics]
    return [(who, metric) for who, metric in (*by_alarms, *by_dashboard) if metric.name not in WITH_LOG_CAPTURE]


@dataclass(frozen=True)
class Day:
    """All log lines of the three services, and what each answered to a scrape at the end."""

    lines: list[bytes]
    scrapes: Mapping[str, str]


async def spent(source: str, warehouse: str, plane: LocalDataPlane, emulator: Emulator) -> Day:
    """A day with an extraction, rows set apart, a verification, and an error of each service."""
    dsns = {"source_dsn": source, "warehouse_dsn": warehouse, "freshness_every": "PT0.5S", "long_poll": "PT1S"}
    services: dict[str, Service] = {}
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            variables = environment(service, plane, metrics_namespace=NAMESPACE, **dsns) | LIBRARY
            services[service] = await stack.enter_async_context(running(service, variables))

        async def send(service: str, body: str) -> None:
            url = getattr(plane, f"{service}_queue_url")
            await asyncio.to_thread(emulator.sqs.send_message, QueueUrl=url, MessageBody=body)

        await send("ingest", "{}")
        await services["load"].event(LogEvent.RUN_COMPLETED, run=1)
        await services["load"].event(LogEvent.FRESHNESS_MEASURED)
        await send("load", '{"verify": true}')
        await services["load"].event(LogEvent.VERIFICATION_COMPLETED)
        for service in SERVICES:
            await send(service, "rubbish")
            await services[service].event(LogEvent.MESSAGE_FAILED, next="dead-letter queue")
        async with httpx.AsyncClient(timeout=30) as http:
            scrapes = {name: await http.get(f"{one.url}/metrics") for name, one in services.items()}
        lines = [line for one in services.values() for line in (await one.last_words()).splitlines()]
        return Day(lines, {name: answer.raise_for_status().text for name, answer in scrapes.items()})


@pytest.fixture
async def day(database: Callable[[], str], data_plane: LocalDataPlane, emulator: Emulator) -> Day:
    source = await make_library(database())
    await execute(source, "ALTER TABLE loan DROP CONSTRAINT loan_book_id_fkey", "UPDATE loan SET book_id = 99")
    return await spent(source, database(), data_plane, emulator)


async def test_what_is_watched_is_what_is_emitted(day: Day, asked: list[tuple[str, Metric]]) -> None:
    lines = day.lines
    seen = read(lines) | counted(lines)
    for who, metric in asked:
        print(f"{who:<60} {metric.namespace} {metric.name} {dict(metric.dimensions)}")
    assert list(unfounded(asked, seen)) == []
    # All that a service tells of itself is looked at somewhere.
    assert {one.name for one in seen} <= {metric.name for _, metric in asked}
    for planted in planted_faults(alarms(SHOP)[0]):
        assert list(unfounded([("planted", planted.metric)], seen)) == ["planted"]
    check_scrapes(day)


def check_scrapes(day: Day) -> None:
    """Prometheus reads the same totals as CloudWatch, and Grafana's dashboard asks only for what it reads."""
    read_here = {
        sample.name: sample.value
        for text in day.scrapes.values()
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "stage" in sample.labels
    }
    emitted: Counter[tuple[str, str]] = Counter()
    for line in map(json.loads, day.lines):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            emitted.update({(line["stage"], one["Name"]): line[one["Name"]] for one in directive["Metrics"]})
    for metric in METRICS:
        # RunSeconds is of two stages, which the label tells apart.
        if metric.name == "RunSeconds" or metric.name in WITH_LOG_CAPTURE:
            continue
        if metric.kind is MetricKind.COUNTER:
            assert read_here[metric.prometheus_name] == emitted[metric.stage, metric.name]
        assert any(name.startswith(metric.prometheus_name) for name in read_here)
    families = set(re.findall(r"^(\w+){", "".join(day.scrapes.values()), re.MULTILINE))
    panels = grafana_dashboard(SHOP)["panels"]
    wanted = {name for p in panels for t in p["targets"] for name in re.findall(r"totesys_\w+", t["expr"])}
    assert len(wanted) > 15
    assert wanted <= families
    text = day.scrapes["load"]
    assert 'totesys_dead_letters{service="load"} 1.0' in text
    assert 'totesys_error_lines_total{service="load"} 1.0' in text
    assert 'totesys_healthy{service="load"} 1.0' in text


def counted(lines: list[bytes]) -> set[Seen]:
    """What the filter on each service's log group makes of its lines: a metric for each service, or one for all."""
    errors = (line for line in map(json.loads, lines) if line["level"] == "error")
    by_service = {frozenset({("service", line["service"])}) for line in errors}
    return {Seen(NAMESPACE, ERROR_LINES, dimensions, "Count") for dimensions in (*by_service, frozenset())}


def unfounded(asked: list[tuple[str, Metric]], seen: set[Seen]) -> Iterator[str]:
    """Who asks for a metric that nobody emits like that."""
    for who, metric in asked:
        if metric.namespace == NAMESPACE:
            if not any(one.is_of(metric) for one in seen):
                yield who
        elif metric.namespace != own_warehouse().names.metrics_namespace:
            documented = OF_AWS[metric.namespace]
            if (metric.unit, frozenset(metric.dimensions)) != (documented.units[metric.name], documented.dimensions):
                yield who


def planted_faults(alarm: Alarm) -> list[Alarm]:
    """The alarm with another name, dimension, or unit of its metric."""
    metric = alarm.metric
    wrong = (
        replace(metric, name="Fresh"),
        replace(metric, dimensions={"stage": "ingest"}),
        replace(metric, dimensions={"service": "load"}),
        replace(metric, unit="Count"),
    )
    return [replace(alarm, metric=one) for one in wrong]

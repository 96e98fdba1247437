"""The metrics of alarms and dashboard: the services' own, and AWS's. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from totesys.metric_declarations import declared_metric
from totesys_infra.names import Names, Service

Unit = Literal["Seconds", "Count", "Bytes", "Percent", "None"]
ERROR_LINES = "ErrorLines"
BILLING_REGION = "us-east-1"


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric, with the unit that its emitter declares."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    unit: Unit


def ours(names: Names, stage: Service, name: str) -> Metric:
    """A metric that a service emits. Raises KeyError for an undeclared one."""
    return Metric(names.metrics_namespace, name, {"stage": stage}, declared_metric(stage, name).unit)


def error_lines(names: Names, service: Service) -> Metric:
    """The number of error lines in a service's log, counted by a filter on its log group."""
    return Metric(names.metrics_namespace, ERROR_LINES, {"service": service}, "Count")


def attention_lines(names: Names) -> Metric:
    """The number of log lines of all services that need attention, as one metric."""
    return Metric(names.metrics_namespace, ERROR_LINES, {}, "Count")


def waiting(queue: str) -> Metric:
    """The number of waiting messages in a queue. Source: "Available CloudWatch metrics for Amazon SQS"."""
    return Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue}, "Count")


def oldest(queue: str) -> Metric:
    """The age of the oldest message in a queue."""
    return Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue}, "Seconds")


def running_tasks(names: Names, service: Service) -> Metric:
    """The number of running tasks of a service: the sample count of this metric over one minute.

    Each task sends one sample a minute, free of charge; Container Insights would bill for its count of tasks. Source:
    "Amazon ECS service utilization metrics".
    """
    of = {"ClusterName": names.cluster, "ServiceName": service}
    return Metric("AWS/ECS", "CPUUtilization", of, "Percent")


def of_warehouse(names: Names, name: str, unit: Unit) -> Metric:
    """A metric of the warehouse's instance. Source: "Amazon CloudWatch metrics for Amazon RDS"."""
    return Metric("AWS/RDS", name, {"DBInstanceIdentifier": names.warehouse_instance}, unit)


def charges() -> Metric:
    """The charges of the whole account this month, in USD, for which CloudWatch has no unit.

    AWS publishes it in us-east-1, for accounts with billing alerts enabled. Source: "AWS Billing and Cost Management
    dimensions and metrics".
    """
    return Metric("AWS/Billing", "EstimatedCharges", {"Currency": "USD"}, "None")

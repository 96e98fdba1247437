"""The metrics that the services emit, declared once for CloudWatch, Prometheus and the dashboards of both."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Unit = Literal["Seconds", "Count", "Bytes"]


class MetricKind(StrEnum):
    """How the values of a metric relate to each other."""

    COUNTER = "counter"  # they add up
    SUMMARY = "summary"  # each is one observation
    GAUGE = "gauge"  # the newest replaces the others
    AGE = "age"  # as a gauge, but the value grows until it is measured again


@dataclass(frozen=True)
class DeclaredMetric:
    """A metric of one stage. `help` describes it in Prometheus."""

    stage: str
    name: str
    unit: Unit
    kind: MetricKind
    help: str

    @property
    def prometheus_name(self) -> str:
        """Its name in Prometheus: `totesys_rows_written_total`, `totesys_freshness_seconds`."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).lower()
        suffix = "_seconds" if self.unit == "Seconds" and not words.endswith("seconds") else ""
        return f"totesys_{words}{suffix}{'_total' if self.kind is MetricKind.COUNTER else ''}"


METRICS = (
    DeclaredMetric("ingest", "ExtractionSeconds", "Seconds", MetricKind.SUMMARY, "Duration of extractions."),
    DeclaredMetric("ingest", "RowsExtracted", "Count", MetricKind.COUNTER, "Rows extracted from the source."),
    DeclaredMetric("ingest", "BreakingChanges", "Count", MetricKind.GAUGE, "Breaking changes at the last tick."),
    DeclaredMetric(
        "ingest",
        "OldestTransactionSeconds",
        "Seconds",
        MetricKind.GAUGE,
        "Age of the oldest transaction at the last tick.",
    ),
    DeclaredMetric("ingest", "RetainedLogBytes", "Bytes", MetricKind.GAUGE, "Log that the slot retains on the source."),
    DeclaredMetric("transform", "RunSeconds", "Seconds", MetricKind.SUMMARY, "Duration of transformed runs."),
    DeclaredMetric("transform", "RowsTransformed", "Count", MetricKind.COUNTER, "Warehouse rows built."),
    DeclaredMetric("transform", "RowsQuarantined", "Count", MetricKind.COUNTER, "Source rows quarantined."),
    DeclaredMetric("load", "RunSeconds", "Seconds", MetricKind.SUMMARY, "Duration of loaded runs."),
    DeclaredMetric("load", "RowsWritten", "Count", MetricKind.COUNTER, "Rows written to the warehouse."),
    DeclaredMetric("load", "RowsUnresolved", "Count", MetricKind.COUNTER, "Rows set aside with unresolved references."),
    DeclaredMetric("load", "RowsDeleted", "Count", MetricKind.COUNTER, "Keys that a deletion sweep found deleted."),
    DeclaredMetric("load", "RowsMissedByLog", "Count", MetricKind.COUNTER, "Rows that only the scan found."),
    DeclaredMetric("load", "Freshness", "Seconds", MetricKind.AGE, "Age of the data that the warehouse shows."),
    DeclaredMetric(
        "load", "VerificationDifferences", "Count", MetricKind.GAUGE, "Wrong rows that the last verification found."
    ),
    DeclaredMetric("load", "VerificationSeconds", "Seconds", MetricKind.SUMMARY, "Duration of verifications."),
)
_BY_NAME = {(metric.stage, metric.name): metric for metric in METRICS}


def declared_metric(stage: str, name: str) -> DeclaredMetric:
    """The metric of a stage. Raises KeyError."""
    return _BY_NAME[stage, name]

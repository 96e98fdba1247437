"""The alarms, and what to do when one fires. Pure data."""

from dataclasses import dataclass
from typing import Literal

from totesys_infra.environment import Environment
from totesys_infra.metrics import (
    ERROR_LINES,
    Metric,
    attention_lines,
    error_lines,
    of_warehouse,
    oldest,
    ours,
    running_tasks,
    waiting,
)
from totesys_infra.names import SERVICES, Names

Statistic = Literal["Maximum", "Minimum", "Sum", "SampleCount", "Average"]
Comparison = Literal["GreaterThanThreshold", "LessThanThreshold"]
# What missing data means; "ignore" keeps the present state.
Missing = Literal["breaching", "notBreaching", "ignore"]

MINUTE = 60
# Well before the promised 30 minutes, so that there is time to act.
STALE_SECONDS = 15 * MINUTE
# A transaction that is still open after an hour was forgotten, or is very large.
OPEN_SECONDS = 60 * MINUTE
# A share of the disk. RDS enlarges a disk when a tenth of it is free; less means that it did not.
FREE_SHARE = 0.08
GIB = 1024**3
# Half of what makes ingest drop its slot by default.
RETAINED_LOG_BYTES = 5 * GIB
# Load needs two, verification two; the others are analysts. The smallest instance allows about 100.
CONNECTIONS = 70
# A burstable instance stores credits for two to three hours. RDS runs T4g in unlimited mode: AWS bills the excess.
CREDITS = 20


@dataclass(frozen=True)
class Alarm:
    """Fires when `statistic` over `period` seconds crosses the threshold in `periods` consecutive periods.

    `section` is the heading in the runbook that has the details.
    """

    name: str
    section: str
    metric: Metric
    statistic: Statistic
    threshold: float
    description: str
    remedy: str
    comparison: Comparison = "GreaterThanThreshold"
    period: int = 5 * MINUTE
    periods: int = 1
    missing: Missing = "notBreaching"


def alarms(environment: Environment) -> tuple[Alarm, ...]:
    """The alarms of an environment."""
    names = environment.names
    if environment.preset.frugal:
        return _few(environment)
    return (
        *_progress(environment),
        *_capture(names),
        *_rows(names),
        *_services(names),
        *_tasks(environment),
        *_warehouse(environment),
    )


def paid_metrics(environment: Environment) -> tuple[str, ...]:
    """The metrics that the services of a frugal preset emit: those of its alarms. CloudWatch bills each of them."""
    names = {
        one.metric.name for one in alarms(environment) if one.metric.namespace == environment.names.metrics_namespace
    }
    return tuple(sorted(names - {ERROR_LINES}))


def _few(environment: Environment) -> tuple[Alarm, ...]:
    """The alarms of a frugal preset: on late data, on what needs attention, and on what is about to stop it."""
    names, (freshness, no_run) = environment.names, _progress(environment)
    # A scheduled task ends before it would measure freshness.
    late = no_run if environment.preset.scheduled else freshness
    attention = Alarm(
        "errors",
        "error-lines",
        attention_lines(names),
        "Sum",
        0,
        "A service logged an error, or quarantined rows.",
        f'Filter the log groups of /{names.name} by {{ ($.level = "error") || ($.event = "rows_quarantined") }}.',
    )
    dead = [alarm for alarm in _services(names) if alarm.section == "dead-letters"]
    storage = [alarm for alarm in _warehouse(environment) if alarm.name == "warehouse-storage"]
    return (late, attention, *dead, *storage)


def _progress(environment: Environment) -> tuple[Alarm, ...]:
    names = environment.names
    return (
        Alarm(
            "freshness",
            "freshness",
            ours(names, "load", "Freshness"),
            "Maximum",
            STALE_SECONDS,
            "The warehouse is more than 15 minutes behind the source, or load reports no freshness.",
            "Find the stuck stage: GET /runs of any service, or the run records in the lake.",
            period=MINUTE,
            periods=3,
            missing="breaching",
        ),
        Alarm(
            "no-successful-run",
            "no-successful-run",
            ours(names, "ingest", "ExtractionSeconds"),
            "SampleCount",
            1,
            "No extraction has finished for two ticks.",
            "Read the log of ingest, and check that the schedule is enabled.",
            comparison="LessThanThreshold",
            period=environment.tick_minutes * MINUTE,
            periods=2,
            missing="breaching",
        ),
    )


def _capture(names: Names) -> tuple[Alarm, ...]:
    """What ingest, and the check of what it read from the log, found in the source."""
    return (
        Alarm(
            "breaking-changes",
            "breaking-changes",
            ours(names, "ingest", "BreakingChanges"),
            "Maximum",
            0,
            "The source's tables differ from their declarations, so ingest extracts nothing.",
            "The log of ingest lists each difference (contract_broken); docs/drift.md explains the fixes.",
        ),
        Alarm(
            "open-transaction",
            "open-transaction",
            ours(names, "ingest", "OldestTransactionSeconds"),
            "Maximum",
            OPEN_SECONDS,
            "A transaction in the source has been open for more than an hour. Its changes arrive only when it ends.",
            f"totesys status --name {names.name} and ingest's log (long_transaction_found) name its holder.",
            periods=2,
        ),
        Alarm(
            "retained-log",
            "retained-log",
            ours(names, "ingest", "RetainedLogBytes"),
            "Maximum",
            RETAINED_LOG_BYTES,
            "The source keeps more than 5 GiB of its log for ingest. At 10 GiB, ingest drops its slot and scans.",
            "Read the log of ingest: an extraction fails, or a transaction in the source is open (docs/capture.md).",
        ),
        Alarm(
            "missed-rows",
            "missed-rows",
            ours(names, "load", "RowsMissedByLog"),
            "Maximum",
            0,
            "The daily scan found changed rows that the source's log had not named. They are loaded now.",
            "Set TOTESYS_CAPTURE=scan, and report it with the log of load (missed_rows_found).",
            # There is one value per check, so about one a day.
            missing="ignore",
        ),
    )


def _rows(names: Names) -> tuple[Alarm, ...]:
    """What transform, load and the verification found in rows."""
    return (
        Alarm(
            "quarantine",
            "quarantine",
            ours(names, "transform", "RowsQuarantined"),
            "Sum",
            0,
            "Source rows could not become warehouse rows.",
            f"totesys quarantine list --name {names.name} shows them with reasons. Fix them in the source.",
        ),
        Alarm(
            "unresolved-references",
            "quarantine",
            ours(names, "load", "RowsUnresolved"),
            "Sum",
            0,
            "Facts refer to dimension rows that are not in the warehouse.",
            f"totesys quarantine list --name {names.name} shows them. They load when the dimension rows arrive.",
        ),
        Alarm(
            "verification-differences",
            "verification-differences",
            ours(names, "load", "VerificationDifferences"),
            "Maximum",
            0,
            "The warehouse differs from the source.",
            f"GET /verifications lists the rows; totesys verify --repair --name {names.name} loads them again.",
            # There is one value per verification, so about one a day.
            missing="ignore",
        ),
    )


def _services(names: Names) -> tuple[Alarm, ...]:
    return tuple(
        alarm
        for service in SERVICES
        for alarm in (
            Alarm(
                f"{service}-errors",
                "error-lines",
                error_lines(names, service),
                "Sum",
                0,
                f"{service} logged an error.",
                f'Filter the log group {names.log_group(service)} by {{ $.level = "error" }}.',
            ),
            Alarm(
                f"{service}-dead-letters",
                "dead-letters",
                waiting(names.dead_letters(service)),
                "Maximum",
                0,
                f"{service} dead-lettered a message. No data is lost, but a run may be stuck.",
                f"totesys dlq list {service} --name {names.name} shows the reason. Fix it, then redrive the message.",
            ),
            Alarm(
                f"{service}-oldest-message",
                "oldest-message",
                oldest(names.queue(service)),
                "Maximum",
                STALE_SECONDS,
                f"A message for {service} has been waiting for more than 15 minutes.",
                f"Check that {service} runs and what it waits for: GET /health/ready.",
            ),
        )
    )


def _tasks(environment: Environment) -> tuple[Alarm, ...]:
    return tuple(
        Alarm(
            f"{service}-tasks",
            "tasks",
            running_tasks(environment.names, service),
            "SampleCount",
            environment.preset.tasks[service].minimum,
            f"Fewer tasks of {service} than the preset requires have been running for five minutes.",
            f"The events of the ECS service {service} show why they stopped.",
            comparison="LessThanThreshold",
            period=MINUTE,
            periods=5,
            missing="breaching",
        )
        for service in SERVICES
    )


def _warehouse(environment: Environment) -> tuple[Alarm, ...]:
    if environment.warehouse.secret is not None:
        return ()
    names, sizing = environment.names, environment.preset
    storage = Alarm(
        "warehouse-storage",
        "warehouse-storage",
        of_warehouse(names, "FreeStorageSpace", "Bytes"),
        "Minimum",
        round(sizing.warehouse_gib * GIB * FREE_SHARE),
        "The warehouse's disk is nearly full, and RDS has not enlarged it.",
        "Set a larger storage_gib under [warehouse] in the environment's file.",
        comparison="LessThanThreshold",
    )
    connections = Alarm(
        "warehouse-connections",
        "warehouse-connections",
        of_warehouse(names, "DatabaseConnections", "Count"),
        "Maximum",
        CONNECTIONS,
        "Many clients are connected to the warehouse. At its limit it also refuses load.",
        "pg_stat_activity shows the clients.",
        periods=2,
    )
    credit = Alarm(
        "warehouse-credit",
        "warehouse-credit",
        of_warehouse(names, "CPUCreditBalance", "Count"),
        "Minimum",
        CREDITS,
        "The warehouse has used nearly all CPU credits of its class. It stays as fast, and AWS bills the excess.",
        "If this lasts for days, choose a larger preset, or find the query that takes the CPU time.",
        comparison="LessThanThreshold",
        periods=2,
    )
    return (storage, connections, credit) if sizing.warehouse_class.startswith("t") else (storage, connections)

"""Alarms: what rings, and what then is to be done. Pure data."""

from dataclasses import dataclass
from typing import Literal

from totesys_infra.environment import Environment
from totesys_infra.metrics import Metric, error_lines, of_warehouse, oldest, ours, running_tasks, waiting
from totesys_infra.names import SERVICES, Names

Statistic = Literal["Maximum", "Minimum", "Sum", "SampleCount", "Average"]
Comparison = Literal["GreaterThanThreshold", "LessThanThreshold"]
# What no value at all means; "ignore" keeps what the last one meant.
Missing = Literal["breaching", "notBreaching", "ignore"]

MINUTE = 60
# Well before the 30 minutes that are promised: there is time to do something.
STALE_SECONDS = 15 * MINUTE
# A transaction that has written and is still open after an hour has been forgotten, or is a very large one.
OPEN_SECONDS = 60 * MINUTE
# Of the disk that the preset gives. RDS makes the disk larger once a tenth of it is free; with less, it has not.
FREE_SHARE = 0.08
GIB = 1024**3
# Load needs two, verification two; the rest are analysts. The least instance has room for about 100.
CONNECTIONS = 70
# A burstable instance holds two to three hours' worth. RDS runs T4g in unlimited mode: beyond that, AWS bills.
CREDITS = 20


@dataclass(frozen=True)
class Alarm:
    """Rings if `statistic` over `period` seconds is beyond the threshold in so many of the last periods, one by one.

    `section` of the runbook says more than `description` and `remedy` do.
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
    return (
        *_progress(environment),
        *_rows(names),
        *_services(names),
        *_tasks(environment),
        *_warehouse(environment),
    )


def tick_seconds(environment: Environment) -> int:
    """How long from one tick to the next."""
    return int("".join(filter(str.isdigit, environment.schedules.tick))) * MINUTE


def _progress(environment: Environment) -> tuple[Alarm, ...]:
    names = environment.names
    return (
        Alarm(
            "freshness",
            "freshness",
            ours(names, "load", "Freshness", "Seconds"),
            "Maximum",
            STALE_SECONDS,
            "The warehouse shows a state of the source that is more than 15 minutes old, or load does not say how old.",
            "Find the stage that stands still: GET /runs of any service, or the records in the lake.",
            period=MINUTE,
            periods=3,
            missing="breaching",
        ),
        Alarm(
            "no-successful-run",
            "no-successful-run",
            ours(names, "ingest", "ExtractionSeconds", "Seconds"),
            "SampleCount",
            1,
            "For two ticks no extraction has come to its end.",
            "Look into the log of ingest, and whether the schedule is enabled.",
            comparison="LessThanThreshold",
            period=tick_seconds(environment),
            periods=2,
            missing="breaching",
        ),
    )


def _rows(names: Names) -> tuple[Alarm, ...]:
    return (
        Alarm(
            "contract-breaches",
            "contract-breaches",
            ours(names, "ingest", "BreakingChanges", "Count"),
            "Maximum",
            0,
            "The source's tables are not the declared ones, so nothing is extracted.",
            "The log of ingest has each difference (contract_broken); docs/drift.md says what mends it.",
        ),
        Alarm(
            "open-transaction",
            "open-transaction",
            ours(names, "ingest", "OldestTransactionSeconds", "Seconds"),
            "Maximum",
            OPEN_SECONDS,
            "A transaction of the source has been open for more than an hour. Its changes arrive only when it ends.",
            f"totesys status --name {names.name} and ingest's log (long_transaction_found) name its holder.",
            periods=2,
        ),
        Alarm(
            "quarantine",
            "quarantine",
            ours(names, "transform", "RowsQuarantined", "Count"),
            "Sum",
            0,
            "Rows of the source could not become rows of the warehouse.",
            f"totesys quarantine list --name {names.name} shows which and why; mended at the source, they arrive.",
        ),
        Alarm(
            "orphans",
            "quarantine",
            ours(names, "load", "RowsUnresolved", "Count"),
            "Sum",
            0,
            "Facts refer to rows of dimensions that the warehouse does not have.",
            f"totesys quarantine list --name {names.name} shows which; they take their place once it arrives.",
        ),
        Alarm(
            "verification-differences",
            "verification-differences",
            ours(names, "load", "VerificationDifferences", "Count"),
            "Maximum",
            0,
            "The warehouse does not equal the source.",
            f"GET /verifications names the rows; totesys verify --repair --name {names.name} brings them again.",
            # There is a value a verification, so about one a day.
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
                f"{service} has logged an error.",
                f'Read it: filter the log group {names.log_group(service)} by {{ $.level = "error" }}.',
            ),
            Alarm(
                f"{service}-dead-letters",
                "dead-letters",
                waiting(names.dead_letters(service)),
                "Maximum",
                0,
                f"{service} has given a message up. No data is lost, but a run may stand still.",
                f"totesys dlq list {service} --name {names.name} shows why; mend that, then redrive it.",
            ),
            Alarm(
                f"{service}-oldest-message",
                "oldest-message",
                oldest(names.queue(service)),
                "Maximum",
                STALE_SECONDS,
                f"A message for {service} has waited for more than 15 minutes.",
                f"Look whether {service} runs and what it waits for: GET /health/ready.",
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
            f"For five minutes, fewer tasks of {service} have been running than the preset asks for.",
            f"Read why they stopped: the events of the ECS service {service}.",
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
        "The warehouse's disk is nearly full, and RDS has not made it larger.",
        "Give it a larger one: storage_gib under [warehouse] in the environment's file.",
        comparison="LessThanThreshold",
    )
    connections = Alarm(
        "warehouse-connections",
        "warehouse-connections",
        of_warehouse(names, "DatabaseConnections", "Count"),
        "Maximum",
        CONNECTIONS,
        "Many clients are connected to the warehouse; soon it takes no more, and load waits.",
        "Find whose they are in pg_stat_activity.",
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
